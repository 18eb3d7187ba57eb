"""Fit an estimator inside another one, which has no validation patients to give it."""

from __future__ import annotations

import copy

from hcat_core.cohort import Cohort
from hcat_core.data.splits import hold_out_patients
from hcat_core.interfaces import Estimator, FitContext

VALIDATION = 0.15  # of the patients, for an estimator that stops by them


def fit_copy(model: Estimator, train: Cohort, context: FitContext) -> Estimator:
    """A fitted copy; some of ``train`` are held out for one that does not refit."""
    fresh = copy.deepcopy(model)
    if getattr(fresh, "refits", False):
        fresh.fit(train, train[slice(0, 0)], context)
    else:
        rest, held = hold_out_patients(train, VALIDATION, context.seed)
        fresh.fit(train[rest], train[held], context)
    return fresh
