"""Whose outcomes recalibrated a model and chose its thresholds."""

from __future__ import annotations

from typing import Literal

from hcat_core.interfaces import CrossFittedEstimator, ThresholdingEstimator
from hcat_core.training.fitting import Fitted

HeldOut = Literal["validation patients", "inner folds", "members", "estimator", "nobody"]


def held_out_by(fitted: Fitted, validation: int) -> HeldOut:
    """Whose outcomes recalibrated a fitted estimator and chose its thresholds.

    Args:
        fitted: by ``fit_estimator``.
        validation: number of validation patients that it was given.

    Returns:
        ``validation patients``, whom the fit leaves out; ``inner folds`` of models fitted without the
        patient; ``members`` of the ensemble that were fitted without the patient; the ``estimator``, which
        does both itself; or ``nobody``: nothing is recalibrated, and thresholds are 0.5.
    """
    if not fitted.took_validation:
        return "validation patients" if validation else "nobody"
    if isinstance(fitted.estimator, ThresholdingEstimator):
        return "estimator"
    return "members" if isinstance(fitted.estimator, CrossFittedEstimator) else "inner folds"
