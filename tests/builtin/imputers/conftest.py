"""Patients with hidden blocks, and training steps, for the tests of neural imputers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from hcat_core.cohort import Cohort, Layout, Modality
from hcat_core.registry.catalog import load_catalog
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
    """1,400 patients whose cells are sines of two shared factors, and the test patients' complete cells."""
    g = torch.Generator().manual_seed(3)
    n, m, d = 1400, 4, 48
    factors = torch.randn((n, 2), generator=g)
    direction = torch.nn.functional.normalize(torch.randn((2, m, 6), generator=g), dim=0) * 1.5
    phase = torch.rand((m, 6), generator=g) * 6.28
    weights = torch.randn((m, 6, d), generator=g) * 0.4
    truth = torch.einsum(
        "nmh,mhd->nmd", torch.sin(torch.einsum("nk,kmh->nmh", factors, direction) + phase), weights
    )
    truth = truth + torch.randn((n, m, d), generator=g) * 0.6
    truth = (truth - truth.mean(dim=0)) / truth.std(dim=0)
    present = torch.rand((n, m), generator=g) > 0.3
    present[:, 0] = True
    cohort = Cohort(
        patient_ids=tuple(f"C{row}" for row in range(n)),
        layout=Layout(tuple(Modality(name, d) for name in "abcd"), ()),
        emb=truth * present.unsqueeze(-1),
        measured=present.unsqueeze(-1).expand(n, m, d),
        present=present,
        quality=present.float(),
        n_rows=present.int(),
    )
    return Patients(cohort[slice(0, 1000)], cohort[slice(1000, 1200)], cohort[slice(1200, n)]), truth[1200:]
