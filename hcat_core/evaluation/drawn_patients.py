"""How many patients the expensive parts of an analysis look at, where there are more."""

from __future__ import annotations

import numpy as np
import torch

from hcat_core.cohort import Cohort

MOST_ANALYSED = 5000
"""Test patients whose modalities are hidden, by subset or to be imputed; an AUC of so many has a standard
error below 0.01."""
MOST_FOR_CLOSED_FORM = 5000
"""Training patients that the closed-form imputer is fitted on, beside which the run's own is scored; with
10,000 its CRPS is lower by 1 % (docs/how-to/scale.md)."""


def drawn(cohort: Cohort, most: int, seed: int) -> Cohort:
    """All patients, or so many drawn at random where there are more, in their order.

    Args:
        cohort: N patients.
        most: at least 1.
        seed: of the draw.
    """
    if len(cohort) <= most:
        return cohort
    rows = np.sort(np.random.default_rng(seed).choice(len(cohort), most, replace=False))
    return cohort[torch.from_numpy(rows)]
