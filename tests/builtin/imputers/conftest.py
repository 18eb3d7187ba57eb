"""Patients with hidden blocks, and training steps, for the tests of neural imputers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.layout import Layout
from hcat_core.registry.catalog import load_catalog
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.synth.spec import preset_spec
from hcat_core.testing.checks import subject_of


@dataclass(frozen=True)
class Patients:
    train: Cohort
    validation: Cohort
    test: Cohort

    @property
    def layout(self) -> Layout:
        return self.train.layout

    def with_cells(self, column: int, cells: torch.Tensor) -> Patients:
        """The patients with other values of one modality, from the first rows of (N, M, D) ``cells``."""
        sides = []
        for side in (self.train, self.validation, self.test):
            emb = side.emb.clone()
            emb[:, column] = cells[: len(side), column] * side.measured[:, column]
            sides.append(replace(side, emb=emb))
        return Patients(*sides)

    def losses(self, imputer: torch.nn.Module, steps: int) -> list[dict[str, float]]:
        """Train an imputer, and return its losses by name, step by step."""
        torch.manual_seed(0)
        optimiser = torch.optim.Adam([p for p in imputer.parameters() if p.requires_grad], lr=2e-3)
        imputer.train()
        history = []
        for _ in range(steps):
            losses = imputer(self.train[torch.randperm(len(self.train))[:64]]).losses
            optimiser.zero_grad()
            torch.stack([term.value for term in losses.values()]).sum().backward()
            optimiser.step()
            history.append({name: float(term.value.detach()) for name, term in losses.items()})
        return history


@pytest.fixture(scope="session")
def patients() -> Patients:
    cohort = subject_of(load_catalog(), "imputer", "mean").cohort.without_targets()
    return Patients(cohort[slice(0, 320)], cohort[slice(320, 420)], cohort[slice(420, 520)])


@pytest.fixture(scope="session")
def curved() -> tuple[Patients, torch.Tensor]:
    """Patients whose cells are sines of three factors, and the complete cells of the test patients."""
    spec = replace(preset_spec("nonlinear", patients=1700, width=96, seed=3), shared=3)
    synthetic = generate(spec)
    cohort = to_cohort(synthetic).without_targets()
    standardiser = Standardiser.fit(cohort[slice(0, 1200)])
    standard = standardiser.apply(cohort)
    truth = (torch.from_numpy(synthetic.complete[1400:]) - standardiser.mean) / standardiser.scale
    sides = slice(0, 1200), slice(1200, 1400), slice(1400, 1700)
    return Patients(*(standard[side] for side in sides)), truth.float()


@pytest.fixture
def draw_cohort():
    """A function that draws 640 standardised patients, of whom the first 240 are for training."""
    return _draw_cohort


def _draw_cohort(*, shared=5, private=0, clusters=3, gap_rate=0.0, width=32, seed=0):
    spec = SynthSpec(
        patients=640,
        widths=dict.fromkeys("abcd", width),
        clusters=clusters,
        separation=0.0 if clusters == 1 else 0.8,
        shared=shared,
        private=private,
        visible=1.0,
        shared_variance=1.0,
        private_variance=0.8,
        noise_variance=0.6,
        gap_rate=gap_rate,
        seed=seed,
    )
    cohort = to_cohort(generate(spec)).without_targets()
    return Standardiser.fit(cohort[slice(0, 240)]).apply(cohort)
