"""Patients with hidden blocks, and training steps, for the tests of neural imputers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from hcat_core.cohort import Cohort, Layout
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
