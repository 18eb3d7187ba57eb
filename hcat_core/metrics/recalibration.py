"""Make probabilities mean what they say: a slope and an intercept on the logit, from patients held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from hcat_core.interfaces import Prediction

SPREAD_OF_LOG_SLOPE = 0.5  # a priori: between 0.37 and 2.7 in 95 of 100 models
SPREAD_OF_INTERCEPT = 1.0


@dataclass(frozen=True)
class Recalibration:
    """``logit p' = intercept + slope * logit p`` for each of T tasks (Cox 1958; Platt 1999).

    The slope is above 0, so that no two patients change places.
    """

    intercept: tuple[float, ...]
    slope: tuple[float, ...]

    @classmethod
    def none(cls, tasks: int) -> Recalibration:
        """Leaves every probability as it is."""
        return cls((0.0,) * tasks, (1.0,) * tasks)

    @classmethod
    def fit(
        cls, probability: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
    ) -> Recalibration:
        """From patients that the model has not learned from.

        Maximum a posteriori: few patients, or one outcome alone, move little.

        Args:
            probability: (N, T) predicted.
            labels: (N, T) 1, 0 or -1; unknown ones are passed over.
            weights: (N, T) of known outcomes (``survival.known_weights``), to stand for unknown ones too.
        """
        weights = np.ones(labels.shape) if weights is None else weights
        columns = zip(probability.T, labels.T, weights.T, strict=True)
        pairs = [_fit_task(p, y, w) for p, y, w in columns]
        return cls(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))

    def apply(self, prediction: Prediction) -> Prediction:
        """Probability, interval and curve; the curve's cumulative hazard is scaled to end where it must."""
        if self == Recalibration.none(len(self.slope)):
            return prediction
        probability = self._moved(prediction.probability)
        interval = None
        if prediction.interval is not None:
            ends = [self._moved(prediction.low), self._moved(prediction.high)]
            interval = torch.from_numpy(np.stack(ends, axis=-1))
        curve = torch.from_numpy(scaled_curve(prediction.curves, probability))
        return Prediction(torch.from_numpy(probability), curve, interval)

    def _moved(self, probability: np.ndarray) -> np.ndarray:
        return sigmoid(np.array(self.intercept) + np.array(self.slope) * logit(probability))


def scaled_curve(curve: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """(N, T, H) event probabilities over time, their cumulative hazard scaled to end at (N, T)."""
    hazard = -np.log1p(-np.clip(curve, 0, 1 - 1e-9))
    wanted = -np.log1p(-np.clip(probability, 0, 1 - 1e-9))
    share = wanted / np.maximum(hazard[..., -1], 1e-9)
    return np.asarray(1 - np.exp(-hazard * share[..., None]))


def logit(probability: np.ndarray) -> np.ndarray:
    """Log odds, of probabilities kept 1e-4 away from 0 and 1."""
    p = np.clip(probability, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(p / (1 - p)))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logit's inverse."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def _fit_task(probability: np.ndarray, label: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    from scipy.optimize import minimize

    known = (label >= 0) & np.isfinite(probability)
    if not known.any():
        return 0.0, 1.0
    z, y = logit(probability[known]), label[known]
    share = weight[known] / weight[known].mean()  # as many patients' worth as are known, against the prior
    # About the mean: a steeper line must not pay for where the middle lies.
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

    found = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B").x
    slope = float(np.exp(found[1]))
    return float(found[0]) + middle * (1 - slope), slope
