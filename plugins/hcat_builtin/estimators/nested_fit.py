"""Fitting an estimator inside another one, which has no validation patients to pass on."""

from __future__ import annotations

import copy

from hcat_core.cohort import Cohort
from hcat_core.data.splits import hold_out_patients
from hcat_core.interfaces import Estimator, FitContext, RefittingEstimator

VALIDATION_SHARE = 0.15  # of the patients, for an estimator that needs validation patients


def fit_copy(model: Estimator, train: Cohort, context: FitContext) -> Estimator:
    """Fit a copy of ``model``.

    One that needs validation patients gets a random share of ``train`` for that.
    """
    fitted = copy.deepcopy(model)
    if isinstance(fitted, RefittingEstimator) and fitted.refits:
        fitted.fit(train, train[slice(0, 0)], context)
    else:
        rest, held_out = hold_out_patients(train, VALIDATION_SHARE, context.seed)
        fitted.fit(train[rest], train[held_out], context)
    return fitted
