"""Patients with event times, as arrays and as targets."""

import numpy as np
import pytest
import torch

from hcat_core.cohort import Targets


def _patients(n=200, seed=0, tied=True):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    event_time = rng.exponential(np.exp(-x[:, 0]) * 900)
    lost = rng.exponential(1500, n)
    time = np.minimum(event_time, lost)
    time = np.ceil(time / 20) * 20 if tied else time
    return x, time, (event_time <= lost).astype(np.int64)


def _targets(time, event):
    return Targets(
        torch.zeros((len(time), 1), dtype=torch.int8),
        torch.from_numpy(time).float().unsqueeze(1),
        torch.from_numpy(event).to(torch.int8).unsqueeze(1),
    )


@pytest.fixture
def patients():
    """Draw (N, 3) covariates, times in days and events of n patients."""
    return _patients


@pytest.fixture
def targets():
    """Make targets of one task of times and events; labels are 0."""
    return _targets
