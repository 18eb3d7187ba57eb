"""Elastic-net regression of event times or labels, whose penalty is chosen by cross-validation.

Two likelihoods, one solver. N patients, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

MOST_STEPS = 300  # of proximal gradient
TOLERANCE = 1e-5
PENALTIES = 8  # on the path from the largest


class Likelihood(Protocol):
    """A mean negative log likelihood of a linear score, as a function of the weights (F,).

    Attributes:
        events: number of events, over which the mean is taken.
    """

    events: int

    def value(self, weights: np.ndarray) -> float:
        """The likelihood without its gradient."""
        ...

    def __call__(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The likelihood and its gradient (F,)."""
        ...


@dataclass(frozen=True)
class PenalisedFit:
    """Weights of a regression, and what models of the inner folds predict.

    Attributes:
        weights: (F,), fitted on all patients.
        out_of_fold: (N,) each patient's linear score, by weights fitted without the patient at the chosen
            penalty.
        gain: by how much the cross-validated log likelihood is higher than without features, in nats.
        error: standard error of the gain, from its spread over folds.
    """

    weights: np.ndarray
    out_of_fold: np.ndarray
    gain: float = 0.0
    error: float = 0.0


def fit_penalised(
    x: np.ndarray,
    likelihood: Callable[[np.ndarray], Likelihood],
    fold: np.ndarray,
    l1_ratio: float,
) -> PenalisedFit:
    """Fit at the penalty, one of eight, that has the best cross-validated likelihood.

    The likelihood of a held-out fold is that of all patients minus that of the patients fitted on
    (van Houwelingen 2006), so that a partial likelihood can be used as well.

    Args:
        x: (N, F) features.
        likelihood: makes the likelihood of the patients that an array of N booleans selects.
        fold: (N,) number of each patient's inner fold.
        l1_ratio: 0 is ridge, 1 is lasso.
    """
    everyone = likelihood(np.ones(len(x), dtype=bool))
    zero = np.zeros(x.shape[1])
    largest = float(np.abs(everyone(zero)[1]).max(initial=0.0))
    path = largest / max(l1_ratio, 0.05) * np.logspace(0, -2.5, PENALTIES)
    folds = np.unique(fold)
    losses = np.zeros((len(path) + 1, len(folds)))  # the last one without features
    scores = np.zeros((len(path), len(x)))
    for column, held_out in enumerate(folds):
        rest = fold != held_out
        fitted = likelihood(rest)
        for place, weights in enumerate([*_along(path, fitted, zero, l1_ratio), zero]):
            of_all = everyone.value(weights) * everyone.events
            losses[place, column] = of_all - fitted.value(weights) * fitted.events
            if place < len(path):
                scores[place, ~rest] = x[~rest] @ weights
    best = int(losses[:-1].sum(axis=1).argmin())
    gains = losses[-1] - losses[best]
    *_, weights = _along(path[: best + 1], everyone, zero, l1_ratio)
    error = float(gains.std(ddof=1) * np.sqrt(len(folds))) if len(folds) > 1 else np.inf
    return PenalisedFit(weights, scores[best], float(gains.sum()), error)


def inner_folds(groups: np.ndarray | Sequence[str], folds: int, seed: int) -> np.ndarray:
    """(N,) number of each patient's fold; patients of one group are in one fold."""
    _, first, group = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    number = first.argsort().argsort()[group]  # groups are numbered by their first patient
    folds = max(2, min(folds, len(first)))
    return np.asarray(np.random.default_rng(seed).permutation(len(first))[number] % folds)


def _along(
    path: np.ndarray, likelihood: Likelihood, start: np.ndarray, l1_ratio: float
) -> list[np.ndarray]:
    """Weights at each penalty of a path, each started at those before it."""
    result = []
    weights = start
    for penalty in path:
        weights = minimise(likelihood, penalty * (1 - l1_ratio), penalty * l1_ratio, weights)
        result.append(weights)
    return result


def minimise(likelihood: Likelihood, ridge: float, lasso: float, start: np.ndarray) -> np.ndarray:
    """Minimise by FISTA (Beck and Teboulle 2009) with step halving, from a start."""
    w, point, momentum, step = start, start, 1.0, 1.0
    for _ in range(MOST_STEPS):
        value, slope = likelihood(point)
        value, slope = value + ridge / 2 * float(point @ point), slope + ridge * point
        while True:
            new = point - step * slope
            new = np.sign(new) * np.maximum(np.abs(new) - step * lasso, 0)
            move = new - point
            reached = likelihood.value(new) + ridge / 2 * float(new @ new)
            if reached <= value + float(slope @ move) + float(move @ move) / (2 * step) + 1e-10:
                break
            step /= 2
        if np.abs(new - w).max(initial=0.0) < TOLERANCE:
            return np.asarray(new)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        point = new + (momentum - 1) / following * (new - w)
        w, momentum = new, following
    return w


class CoxLikelihood:
    """Mean negative log partial likelihood over events, with Breslow's ties, and its gradient.

    Patients are sorted once, so that each evaluation takes one matrix product and two cumulative sums.

    Args:
        x: (N, F) features.
        time: (N,).
        event: (N,) bool.
        offset: (N,) a known part of the score; None for none.
    """

    def __init__(
        self, x: np.ndarray, time: np.ndarray, event: np.ndarray, offset: np.ndarray | None = None
    ) -> None:
        order = np.argsort(-time, kind="stable")
        self.x, self.event = x[order], event[order]
        self.offset = 0.0 if offset is None else offset[order]
        # For each patient, the last patient at risk at the same time, and the first; ties are at risk.
        self.last = np.searchsorted(-time[order], -time[order], side="right") - 1
        self.first = np.searchsorted(-time[order], -time[order], side="left")
        self.events = max(1, int(event.sum()))

    def value(self, weights: np.ndarray) -> float:
        """The likelihood without its gradient."""
        return self._terms(self.x @ weights + self.offset)[0]

    def __call__(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The likelihood and its gradient (F,)."""
        value, risk, at_risk = self._terms(self.x @ weights + self.offset)
        # A patient is in the risk set of every event at the patient's time or before it.
        inverse = np.where(self.event, 1 / at_risk, 0)
        share = risk * inverse[::-1].cumsum()[::-1][self.first]
        return value, self.x.T @ (share - self.event) / self.events

    def _terms(self, eta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """The likelihood, each patient's relative risk, and the sum of risks in each patient's risk set."""
        top = eta.max(initial=0.0)
        risk = np.exp(eta - top)
        at_risk = np.maximum(risk.cumsum()[self.last], 1e-300)
        value = -(eta - top - np.log(at_risk))[self.event].sum() / self.events
        return float(value), risk, at_risk


class LabelLikelihood:
    """Mean negative log likelihood of a logistic regression, per event, and its gradient.

    The intercept is the logit of the share of events: scores are those of centred features.

    Args:
        x: (N, F) centred features.
        label: (N,) 1 for an event, 0 for none.
        offset: (N,) a known part of the score; None for none.
    """

    def __init__(self, x: np.ndarray, label: np.ndarray, offset: np.ndarray | None = None) -> None:
        self.x, self.label = x, label
        self.events = max(1, int(label.sum()))
        share = np.clip(label.mean() if len(label) else 0.5, 1e-3, 1 - 1e-3)
        self.intercept = np.log(share / (1 - share)) + (0.0 if offset is None else offset)

    def value(self, weights: np.ndarray) -> float:
        """The likelihood without its gradient."""
        eta = self.intercept + self.x @ weights
        return float((np.logaddexp(0, eta) - self.label * eta).sum() / self.events)

    def __call__(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The likelihood and its gradient (F,)."""
        eta = self.intercept + self.x @ weights
        error = 0.5 * (1 + np.tanh(0.5 * eta)) - self.label
        value = (np.logaddexp(0, eta) - self.label * eta).sum() / self.events
        return float(value), self.x.T @ error / self.events
