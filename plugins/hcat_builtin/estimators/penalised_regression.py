"""Elastic-net regression of event times, labels or values, whose penalty is chosen by cross-validation.

Three likelihoods, one solver. N patients, F features, K fits, one a column: all inner folds and penalties
are fitted at once, so that a step is a few products of matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

MOST_STEPS = 600  # of proximal gradient
TOLERANCE = 1e-6
PENALTIES = 8  # on the path from the largest
MOST_NEWTON_STEPS = 12  # towards the intercept of a logistic regression, per evaluation
NEWTON_TOLERANCE = 1e-5  # of the intercept; the likelihood is then within 1e-10 of its maximum
FARTHEST_INTERCEPT = 12.0  # where all outcomes are alike, the best one is infinite


class Likelihood(Protocol):
    """Mean negative log likelihoods of K columns of linear scores, each over its own patients.

    Attributes:
        events: (K,) number of events, over which each mean is taken; of values, number of patients.
    """

    events: np.ndarray

    def value(self, scores: np.ndarray) -> np.ndarray:
        """(K,) the likelihoods of scores (N, K), without their slopes."""
        ...

    def __call__(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The likelihoods (K,), and their slopes (N, K) along the scores."""
        ...

    def columns(self, chosen: np.ndarray) -> Self:
        """The likelihoods of some of the columns, which K booleans choose."""
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
        likelihood: makes the likelihoods of the patients that (N, K) booleans select.
        fold: (N,) number of each patient's inner fold.
        l1_ratio: 0 is ridge, 1 is lasso.
    """
    everyone = np.ones((len(x), 1), dtype=bool)
    folds = np.unique(fold)
    learn = np.concatenate([fold[:, None] != folds, everyone], axis=1)
    slope = x.T @ likelihood(everyone)(np.zeros((len(x), 1)))[1]
    largest = float(np.abs(slope).max(initial=0.0)) / max(l1_ratio, 0.05)
    penalty = np.repeat(largest * np.logspace(0, -2.5, PENALTIES), len(folds) + 1)
    of_learned = likelihood(np.tile(learn, PENALTIES))
    weights = minimise(x, of_learned, penalty * (1 - l1_ratio), penalty * l1_ratio)
    scores = x @ weights
    of_all = likelihood(np.repeat(everyone, len(penalty), axis=1))

    def losses(scores: np.ndarray) -> np.ndarray:
        """(PENALTIES, folds) of the patients who are not learned from."""
        loss = of_all.value(scores) * of_all.events - of_learned.value(scores) * of_learned.events
        return np.asarray(loss.reshape(PENALTIES, -1)[:, :-1])

    with_features, without = losses(scores), losses(np.zeros_like(scores))
    best = int(with_features.sum(axis=1).argmin())
    gains = without[best] - with_features[best]
    error = float(gains.std(ddof=1) * np.sqrt(len(folds))) if len(folds) > 1 else np.inf
    chosen = slice(best * (len(folds) + 1), (best + 1) * (len(folds) + 1))
    out_of_fold = scores[np.arange(len(x)), chosen.start + np.searchsorted(folds, fold)]
    return PenalisedFit(weights[:, chosen.stop - 1], out_of_fold, float(gains.sum()), error)


def inner_folds(groups: np.ndarray | Sequence[str], folds: int, seed: int) -> np.ndarray:
    """(N,) number of each patient's fold; patients of one group are in one fold."""
    _, first, group = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    number = first.argsort().argsort()[group]  # groups are numbered by their first patient
    folds = max(2, min(folds, len(first)))
    return np.asarray(np.random.default_rng(seed).permutation(len(first))[number] % folds)


def minimise(x: np.ndarray, likelihood: Likelihood, ridge: np.ndarray, lasso: np.ndarray) -> np.ndarray:
    """(F, K) weights of the smallest penalised loss, each column by FISTA from 0.

    FISTA (Beck and Teboulle 2009) with step halving, whose momentum starts again where it leads uphill
    (O'Donoghue and Candès 2015). A column that no longer moves leaves the batch.

    Args:
        x: (N, F) features.
        likelihood: of K columns of scores.
        ridge: (K,) penalty of half the squared weights.
        lasso: (K,) penalty of the absolute weights.
    """
    result = np.zeros((x.shape[1], len(ridge)))
    moving = np.arange(len(ridge))
    w = point = result
    at_w = at_point = np.zeros((len(x), len(ridge)))
    momentum, step = np.ones(len(ridge)), np.ones(len(ridge))
    for _ in range(MOST_STEPS):
        new, at_new, step = _proximal_step(x, likelihood, (ridge, lasso), (point, at_point), step)
        change = new - w
        momentum = np.where(((new - point) * change).sum(axis=0) < 0, 1.0, momentum)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = (momentum - 1) / following
        point, at_point = new + ahead * change, at_new + ahead * (at_new - at_w)
        w, at_w, momentum = new, at_new, following
        result[:, moving] = w
        moves = np.abs(change).max(axis=0, initial=0.0) >= TOLERANCE
        if not moves.any():
            break
        if not moves.all():
            moving, likelihood = moving[moves], likelihood.columns(moves)
            momentum, step, ridge, lasso = (a[moves] for a in (momentum, step, ridge, lasso))
            w, at_w, point, at_point = (a[:, moves] for a in (w, at_w, point, at_point))
    return result


def _proximal_step(
    x: np.ndarray,
    likelihood: Likelihood,
    penalties: tuple[np.ndarray, np.ndarray],
    start: tuple[np.ndarray, np.ndarray],
    step: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, their scores and the step sizes after one step, halved where the loss was above its bound.

    Args:
        x: (N, F).
        likelihood: of K columns.
        penalties: ridge and lasso, (K,) each.
        start: weights (F, K) and their scores (N, K).
        step: (K,) sizes to begin with.
    """
    (ridge, lasso), (point, at_point) = penalties, start
    value, along = likelihood(at_point)
    slope = x.T @ along + ridge * point
    value = value + ridge / 2 * (point**2).sum(axis=0)
    while True:
        new = point - step * slope
        new = np.sign(new) * np.maximum(np.abs(new) - step * lasso, 0)
        at_new, move = x @ new, new - point
        reached = likelihood.value(at_new) + ridge / 2 * (new**2).sum(axis=0)
        bound = value + (slope * move).sum(axis=0) + (move**2).sum(axis=0) / (2 * step) + 1e-10
        if (reached <= bound).all():
            return new, at_new, step
        step = np.where(reached <= bound, step, step / 2)


class CoxLikelihood:
    """Mean negative log partial likelihoods over events, with Breslow's ties.

    Patients are sorted once, so that each evaluation takes two cumulative sums.

    Args:
        time: (N,).
        event: (N,) bool.
        patients: (N, K) bool, those of each column.
        offset: (N,) a known part of the score; None for none.
    """

    def __init__(
        self, time: np.ndarray, event: np.ndarray, patients: np.ndarray, offset: np.ndarray | None = None
    ) -> None:
        self.order = np.argsort(-time, kind="stable")
        self.place = np.argsort(self.order, kind="stable")
        self.offset = 0.0 if offset is None else offset[self.order, None]
        # For each patient, the last patient at risk at the same time, and the first; ties are at risk.
        sooner = -time[self.order]
        self.last = np.searchsorted(sooner, sooner, side="right") - 1
        self.first = np.searchsorted(sooner, sooner, side="left")
        self.patients = patients[self.order].astype(float)
        self.event = self.patients * event[self.order, None]
        self.events = np.maximum(1, self.event.sum(axis=0))

    def value(self, scores: np.ndarray) -> np.ndarray:
        """(K,) the likelihoods of scores (N, K), without their slopes."""
        return self._terms(scores)[0]

    def __call__(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The likelihoods (K,), and their slopes (N, K) along the scores."""
        value, risk, at_risk = self._terms(scores)
        # A patient is in the risk set of every event at the patient's time or before it.
        share = risk * (self.event / at_risk)[::-1].cumsum(axis=0)[::-1][self.first]
        return value, ((share - self.event) / self.events)[self.place]

    def columns(self, chosen: np.ndarray) -> Self:
        """The likelihoods of some of the columns, which K booleans choose."""
        part = copy(self)
        part.patients, part.event = self.patients[:, chosen], self.event[:, chosen]
        part.events = self.events[chosen]
        return part

    def _terms(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The likelihoods, patients' relative risks, and the sum of risks in each patient's risk set."""
        eta = scores[self.order] + self.offset
        eta = eta - eta.max(axis=0, initial=0.0)
        risk = np.exp(eta) * self.patients
        at_risk = np.maximum(risk.cumsum(axis=0)[self.last], 1e-300)
        return (self.event * (np.log(at_risk) - eta)).sum(axis=0) / self.events, risk, at_risk


class SquaredLikelihood:
    """Half the mean squared errors of linear regressions, each at its best intercept.

    Of standardised values, it is the negative log likelihood under an error of variance 1.

    Args:
        value: (N,) to be regressed.
        patients: (N, K) bool, those of each column.
        offset: (N,) a known part of the score; None for none.
    """

    def __init__(self, value: np.ndarray, patients: np.ndarray, offset: np.ndarray | None = None) -> None:
        self.patients = patients.astype(float)
        self.target = (value if offset is None else value - offset)[:, None]
        self.events = np.maximum(1, self.patients.sum(axis=0))

    def value(self, scores: np.ndarray) -> np.ndarray:
        """(K,) the likelihoods of scores (N, K), without their slopes."""
        return np.asarray(0.5 * (self._errors(scores) ** 2).sum(axis=0) / self.events)

    def __call__(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The likelihoods (K,), and their slopes (N, K) along the scores."""
        errors = self._errors(scores)
        return 0.5 * (errors**2).sum(axis=0) / self.events, -errors / self.events

    def columns(self, chosen: np.ndarray) -> Self:
        """The likelihoods of some of the columns, which K booleans choose."""
        part = copy(self)
        part.patients, part.events = self.patients[:, chosen], self.events[chosen]
        return part

    def _errors(self, scores: np.ndarray) -> np.ndarray:
        errors = self.target - scores
        intercept = (self.patients * errors).sum(axis=0) / self.events
        return np.asarray(self.patients * (errors - intercept))


class LabelLikelihood:
    """Mean negative log likelihoods of logistic regressions, per event, each at its best intercept.

    The intercept is found by Newton's method at each evaluation, from where the last one left it; the slope
    of a likelihood maximised over the intercept is its slope at that intercept.

    Args:
        label: (N,) 1 for an event, 0 for none.
        patients: (N, K) bool, those of each column.
        offset: (N,) a known part of the score; None for none.
    """

    def __init__(self, label: np.ndarray, patients: np.ndarray, offset: np.ndarray | None = None) -> None:
        self.patients = patients.astype(float)
        self.label = label.astype(float)[:, None]
        events = (self.patients * self.label).sum(axis=0)
        self.events = np.maximum(1, events)
        number = self.patients.sum(axis=0)
        share = np.where(number > 0, events / np.maximum(1, number), 0.5).clip(1e-3, 1 - 1e-3)
        self.intercept = np.log(share / (1 - share))
        self.offset = 0.0 if offset is None else offset[:, None]

    def value(self, scores: np.ndarray) -> np.ndarray:
        """(K,) the likelihoods of scores (N, K), without their slopes."""
        return self._terms(scores)[0]

    def __call__(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The likelihoods (K,), and their slopes (N, K) along the scores."""
        value, probability = self._terms(scores)
        return value, self.patients * (probability - self.label) / self.events

    def columns(self, chosen: np.ndarray) -> Self:
        """The likelihoods of some of the columns, which K booleans choose."""
        part = copy(self)
        part.patients, part.events = self.patients[:, chosen], self.events[chosen]
        part.intercept = self.intercept[chosen]
        return part

    def _terms(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The likelihoods, and the probabilities (N, K), at the best intercepts, which are kept."""
        eta = scores + self.offset
        for _ in range(MOST_NEWTON_STEPS):
            logit = eta + self.intercept
            small = np.exp(-np.abs(logit))
            probability = np.where(logit >= 0, 1.0, small) / (1 + small)
            slope = (self.patients * (probability - self.label)).sum(axis=0)
            curvature = (self.patients * probability * (1 - probability)).sum(axis=0)
            move = np.clip(slope / np.maximum(curvature, 1e-9), -1.0, 1.0)
            if np.abs(move).max(initial=0.0) < NEWTON_TOLERANCE:
                break
            self.intercept = np.clip(self.intercept - move, -FARTHEST_INTERCEPT, FARTHEST_INTERCEPT)
        each = np.log1p(small) + np.maximum(logit, 0) - self.label * logit
        return (self.patients * each).sum(axis=0) / self.events, probability
