"""Patients with hidden blocks, and training steps, for the tests of neural imputers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from hcat_core.cohort import Cohort, Layout
from hcat_core.data.standardisation import Standardiser
from hcat_core.registry.catalog import load_catalog
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.testing.checks import subject_of


@dataclass(frozen=True)
class Patients:
    train: Cohort
    validation: Cohort
    test: Cohort

    @property
    def layout(self) -> Layout:
        return self.train.layout

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
