"""Recalibrate predicted probabilities with a slope and an intercept fitted on held-out patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from hcat_core.interfaces import Prediction
from hcat_core.metrics.resampling import shares_of_groups

SPREAD_OF_LOG_SLOPE = 0.5  # prior standard deviation: 95 % of slopes between 0.37 and 2.7
SPREAD_OF_INTERCEPT = 1.0  # prior standard deviation


@dataclass(frozen=True)
class Recalibration:
    """``logit p' = intercept + slope * logit p`` for each of T tasks (Cox 1958; Platt 1999).

    The slope is positive, so that the ranking of patients does not change.
    """

    intercept: tuple[float, ...]
    slope: tuple[float, ...]

    @classmethod
    def none(cls, tasks: int) -> Recalibration:
        """Make a recalibration that changes no probability."""
        return cls((0.0,) * tasks, (1.0,) * tasks)

    @classmethod
    def fit(
        cls,
        probability: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray | None = None,
        groups: np.ndarray | None = None,
    ) -> Recalibration:
        """Fit on patients that the model was not trained on.

        The estimate is the maximum a posteriori: few patients, or patients with a single outcome, change
        the probabilities only little.

        Args:
            probability: (N, T) predicted.
            labels: (N, T) 1, 0 or -1; patients with an unknown outcome (-1) are left out.
            weights: (N, T) of ``censoring.known_weights``, which let known outcomes represent unknown ones.
            groups: (N,) numbers of groups. The known records of a group count as much as one patient
                together, because they may say no more than one.
        """
        weights = np.ones(labels.shape) if weights is None else weights
        columns = zip(probability.T, labels.T, weights.T, strict=True)
        lines = [_fit_task(p, y, w, groups) for p, y, w in columns]
        return cls(tuple(a for a, _ in lines), tuple(b for _, b in lines))

    def apply(self, prediction: Prediction) -> Prediction:
        """Recalibrate probability and interval, and scale the curve so that it ends at the probability."""
        if self == Recalibration.none(len(self.slope)):
            return prediction
        probability = self._recalibrated(prediction.probability)
        interval = None
        if prediction.interval is not None:
            ends = [self._recalibrated(prediction.low), self._recalibrated(prediction.high)]
            interval = torch.from_numpy(np.stack(ends, axis=-1))
        curve = torch.from_numpy(scaled_curve(prediction.curves, probability))
        return Prediction(torch.from_numpy(probability), curve, interval)

    def _recalibrated(self, probability: np.ndarray) -> np.ndarray:
        return sigmoid(np.array(self.intercept) + np.array(self.slope) * logit(probability))


def scaled_curve(curve: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """(N, T, H) event probabilities over time whose cumulative hazard is scaled to end at ``probability``.

    That of a curve which stays at 0 rises evenly. Unknown points (NaN) stay so, but for the last.

    Args:
        curve: (N, T, H) event probabilities over time.
        probability: (N, T) event probabilities at the last time.
    """
    hazard = cumulative_hazard(curve)
    last, steps = hazard[..., -1:], curve.shape[-1]
    evenly = np.broadcast_to(np.arange(1, steps + 1) / steps, hazard.shape)
    share = np.divide(hazard, last, out=np.where(np.isnan(hazard), np.nan, evenly), where=last > 1e-9)
    scaled = -np.expm1(-share * cumulative_hazard(probability)[..., None])
    scaled[..., -1] = probability
    return np.asarray(scaled)


def cumulative_hazard(probability: np.ndarray) -> np.ndarray:
    """-log(1 - p) of event probabilities p, which are kept 1e-9 from 1."""
    return np.asarray(-np.log1p(-np.clip(probability, 0, 1 - 1e-9)))


def logit(probability: np.ndarray) -> np.ndarray:
    """Log odds of probabilities, which are clipped to 1e-4 from 0 and 1."""
    p = np.clip(probability, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(p / (1 - p)))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The inverse of the logit, 1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def _fit_task(
    probability: np.ndarray, label: np.ndarray, weight: np.ndarray, groups: np.ndarray | None
) -> tuple[float, float]:
    """Intercept and slope of one task; 0 and 1 without known outcomes."""
    from scipy.optimize import minimize

    known = (label >= 0) & np.isfinite(probability)
    if not known.any():
        return 0.0, 1.0
    z, y = logit(probability[known]), label[known]
    share = weight[known] * shares_of_groups(known, groups)[known]
    share *= shares_of_groups(known, groups)[known].sum() / share.sum()
    # Centred: otherwise the prior of the intercept would penalise a steeper slope.
    middle = float(np.average(z, weights=share))
    z = z - middle

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        slope = np.exp(w[1])
        eta = middle + w[0] + slope * z
        prior = (w[0] / SPREAD_OF_INTERCEPT) ** 2 + (w[1] / SPREAD_OF_LOG_SLOPE) ** 2
        error = share * (sigmoid(eta) - y)
        gradient = np.array([error.sum(), slope * (error * z).sum()])
        gradient += w / np.array([SPREAD_OF_INTERCEPT, SPREAD_OF_LOG_SLOPE]) ** 2
        return float((share * (np.logaddexp(0, eta) - y * eta)).sum() + prior / 2), gradient

    optimum = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B").x
    slope = float(np.exp(optimum[1]))
    return float(optimum[0]) + middle * (1 - slope), slope
