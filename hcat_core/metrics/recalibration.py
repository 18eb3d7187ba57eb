"""Recalibrate predicted probabilities with a slope and an intercept fitted on held-out patients."""

from __future__ import annotations

from collections.abc import Sequence
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

    The slope is positive, so that the ranking of patients does not change. The probabilities of the classes
    of one outcome are recalibrated together, with one slope and an intercept for each class: ``p'`` is
    proportional to ``exp(intercept + slope * log p)`` and adds up to 1 (temperature scaling with a bias,
    Guo et al. 2017). A number is not recalibrated.

    Attributes:
        intercept: T.
        slope: T.
        families: columns of the classes of each outcome that has several.
    """

    intercept: tuple[float, ...]
    slope: tuple[float, ...]
    families: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def none(cls, tasks: int, families: Sequence[tuple[int, ...]] = ()) -> Recalibration:
        """Make a recalibration that only makes probabilities of classes add up to 1."""
        return cls((0.0,) * tasks, (1.0,) * tasks, tuple(families))

    @classmethod
    def fit(
        cls,
        probability: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        families: Sequence[tuple[int, ...]] = (),
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
            families: columns of the classes of each outcome that has several.
        """
        weights = np.ones(labels.shape) if weights is None else weights
        columns = zip(probability.T, labels.T, weights.T, strict=True)
        of_classes = {column for family in families for column in family}
        lines = [
            (0.0, 1.0) if column in of_classes else _fit_task(p, y, w, groups)
            for column, (p, y, w) in enumerate(columns)
        ]
        for family in families:
            at = list(family)
            fitted = fit_classes(probability[:, at], labels[:, at], groups)
            for column, line in zip(family, fitted, strict=True):
                lines[column] = line
        return cls(tuple(a for a, _ in lines), tuple(b for _, b in lines), tuple(families))

    def apply(self, prediction: Prediction) -> Prediction:
        """Recalibrate probability and interval, and scale the curve so that it ends at the probability."""
        if self == Recalibration.none(len(self.slope)):
            return prediction
        before = prediction.probability
        probability = self._recalibrated(before)
        for family in self.families:
            at = list(family)
            intercept, slope = np.array(self.intercept)[at], np.array(self.slope)[at]
            probability[:, at] = softmax(intercept + slope * log_probability(before[:, at]))
        interval = None
        if prediction.interval is not None:
            ends = np.stack([prediction.low, prediction.high], axis=-1)
            # On the logit scale an end is as far from the probability as before, times the slope.
            away = np.array(self.slope)[:, None] * (logit(ends) - logit(before)[..., None])
            moved = sigmoid(logit(probability)[..., None] + away)
            interval = torch.from_numpy(np.where(np.isnan(before)[..., None], ends, moved))
        curve = torch.from_numpy(scaled_curve(prediction.curves, probability))
        return Prediction(torch.from_numpy(probability), curve, interval, prediction.value)

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


def log_probability(probability: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, which are at least 1e-4."""
    return np.asarray(np.log(np.clip(probability, 1e-4, None)))


def softmax(x: np.ndarray) -> np.ndarray:
    """(..., K) numbers -> probabilities proportional to their exponentials."""
    from scipy.special import softmax as of

    return np.asarray(of(x, axis=-1))


def fit_classes(
    probability: np.ndarray, labels: np.ndarray, groups: np.ndarray | None
) -> list[tuple[float, float]]:
    """Intercept and slope of each of the K classes of one outcome; 0 and 1 without known outcomes.

    Args:
        probability: (N, K) predicted.
        labels: (N, K) 1 for the patient's class, 0 for others, -1 unknown.
        groups: as of ``Recalibration.fit``.
    """
    from scipy.optimize import minimize

    known = (labels >= 0).all(axis=1) & np.isfinite(probability).all(axis=1)
    if not known.any():
        return [(0.0, 1.0)] * probability.shape[1]
    z, y = log_probability(probability[known]), labels[known]
    share = shares_of_groups(known, groups)[known]
    middle = np.average(z, axis=0, weights=share)
    z = z - middle

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        slope = np.exp(w[-1])
        p = softmax(middle + w[:-1] + slope * z)
        error = share[:, None] * (p - y)
        likelihood = (share * np.log(np.maximum((p * y).sum(axis=1), 1e-300))).sum()
        prior = (w[:-1] / SPREAD_OF_INTERCEPT) ** 2
        gradient = np.append(
            error.sum(axis=0) + w[:-1] / SPREAD_OF_INTERCEPT**2,
            slope * (error * z).sum() + w[-1] / SPREAD_OF_LOG_SLOPE**2,
        )
        return float(-likelihood + (prior.sum() + (w[-1] / SPREAD_OF_LOG_SLOPE) ** 2) / 2), gradient

    optimum = minimize(loss, np.zeros(z.shape[1] + 1), jac=True, method="L-BFGS-B").x
    slope = float(np.exp(optimum[-1]))
    return [(float(a), slope) for a in optimum[:-1] + middle * (1 - slope)]


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
