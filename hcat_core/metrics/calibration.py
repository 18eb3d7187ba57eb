"""Calibration slope and intercept of predicted probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from hcat_core.metrics.fewest import FEWEST_OF_EACH
from hcat_core.metrics.recalibration import logit, sigmoid
from hcat_core.metrics.resampling import rarer_outcome, sums_by_group

LEAST_SPREAD = 1e-6  # of logits; a model that predicts the same for everyone has no slope


@dataclass(frozen=True)
class Calibration:
    """Regression of an outcome on the logit of its predicted probability.

    All are None with fewer than ``FEWEST_OF_EACH`` patients of either outcome: a line through the outcomes
    of fewer says nothing. A constant prediction has no slope, nor has one that separates the outcomes.

    Attributes:
        calibration_slope: 1 is ideal; below 1 the probabilities are too extreme, above 1 too moderate.
        calibration_slope_95: Wald interval of the slope, from the sandwich estimator of variance, which
            is valid for weighted patients, and for groups of them.
        calibration_intercept: 0 is ideal; fitted with the slope fixed at 1, it is above 0 where too few
            events were predicted.
    """

    calibration_slope: float | None = None
    calibration_slope_95: tuple[float, float] | None = None
    calibration_intercept: float | None = None


def calibration(
    probability: np.ndarray,
    label: np.ndarray,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> Calibration:
    """Fit the calibration slope and intercept (Cox 1958).

    Args:
        probability: (N,) predicted.
        label: (N,) 1, 0 or -1; patients with an unknown outcome (-1) are left out.
        weights: (N,) of ``censoring.known_weights``. Without them, events are over-represented among the
            known outcomes of a censored cohort.
        groups: (N,) numbers of groups, whose records are not independent; None without.
    """
    known = (label >= 0) & np.isfinite(probability)
    z, y = logit(probability[known]), label[known].astype(float)
    w = np.ones(len(y)) if weights is None else weights[known]
    groups = None if groups is None else groups[known]
    if rarer_outcome(label[known], groups) < FEWEST_OF_EACH:
        return Calibration()

    def loss(line: np.ndarray, slope: bool) -> float:
        eta = line[0] + (line[1] if slope else 1.0) * z
        return float(np.average(np.logaddexp(0, eta) - y * eta, weights=w))

    both = minimize(loss, np.array([0.0, 1.0]), args=(True,), method="BFGS").x
    alone = minimize(loss, np.array([0.0]), args=(False,), method="BFGS").x
    fitted = sigmoid(both[0] + both[1] * z)
    design = np.stack([np.ones_like(z), z])
    bread = np.linalg.pinv((design * w * fitted * (1 - fitted)) @ design.T)
    scores = sums_by_group(design * w * (y - fitted), groups)
    meat = scores @ scores.T
    half = 1.96 * float(np.sqrt(max((bread @ meat @ bread)[1, 1], 0)))
    slope = float(both[1])
    if not _slope_is_defined(z, y):
        return Calibration(calibration_intercept=float(alone[0]))
    return Calibration(slope, (slope - half, slope + half), float(alone[0]))


def _slope_is_defined(z: np.ndarray, y: np.ndarray) -> bool:
    """Whether one slope fits best: logits differ, and do not separate the outcomes."""
    apart = z[y == 1].min() >= z[y == 0].max() or z[y == 1].max() <= z[y == 0].min()
    return bool(z.std() > LEAST_SPREAD and not apart)
