"""Regressions of one task's outcomes: of times where they are known, of labels, or of values."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp
from torch import Tensor

from hcat_builtin.estimators.penalised_regression import (
    CoxLikelihood,
    LabelLikelihood,
    PenalisedFit,
    SquaredLikelihood,
    fit_penalised,
)
from hcat_core.cohort import Targets
from hcat_core.metrics.survival import breslow, pseudo_observations, timed


@dataclass(frozen=True)
class Outcomes:
    """One task's outcomes of N patients, (N,) each: times and causes, labels without times, or values.

    A cause is 1 for the event, 2 for a competing event before it, 0 for neither; 0 of a number.
    """

    known: np.ndarray
    time: np.ndarray
    cause: np.ndarray
    is_timed: bool
    value: np.ndarray | None = None

    @classmethod
    def of(cls, targets: Targets, column: int) -> Outcomes:
        """The outcomes in a column of the targets."""
        known = timed(targets, column)
        if known.any():
            time = targets.time[:, column].double().numpy()
            return cls(known.numpy(), time, targets.event[:, column].numpy().astype(int), True)
        values = None if targets.values is None else targets.values[:, column].double().numpy()
        if values is not None and np.isfinite(values).any():
            nothing = np.zeros(len(values))
            return cls(np.isfinite(values), nothing, nothing.astype(int), False, values)
        labels = targets.labels[:, column].numpy()
        return cls(labels >= 0, np.zeros(len(labels)), (labels == 1).astype(int), False)

    def of_cause(self, number: int) -> Outcomes:
        """The outcomes in which this cause alone is the event, and others censor it."""
        return replace(self, cause=(self.cause == number).astype(int))

    @property
    def event(self) -> np.ndarray:
        """(N,) bool: the event happened."""
        return np.asarray(self.cause == 1)

    @property
    def vary(self) -> bool:
        """Whether there is anything to learn: an event, and among labels a patient without; two values."""
        if self.value is not None:
            return len(np.unique(self.value[self.known])) > 1
        events = int(self.event[self.known].sum())
        return events > 0 and (self.is_timed or events < int(self.known.sum()))

    def by_horizon(self, days: float | None) -> np.ndarray:
        """(n,) outcomes of the n known patients by a horizon, or labels or values of a task without one."""
        return self.by_day((0.0 if days is None else days,))[:, 0]

    def by_day(self, days: tuple[float, ...]) -> np.ndarray:
        """(n, H) outcomes of the n known patients by each day: pseudo-observations, labels or values.

        Where a competing event may come first, pseudo-observations are those of the cumulative incidence.
        """
        if self.value is not None:
            return np.repeat(self.value[self.known][:, None], len(days), axis=1)
        if not self.is_timed:
            return np.repeat(self.event[self.known][:, None].astype(float), len(days), axis=1)
        return pseudo_observations(self.time[self.known], self.cause[self.known], np.array(days))

    def likelihood(
        self, patients: np.ndarray, offset: np.ndarray | None = None
    ) -> CoxLikelihood | LabelLikelihood | SquaredLikelihood:
        """The likelihoods of the patients of K columns, (n, K) bool, of the n with a known outcome."""
        if self.value is not None:
            return SquaredLikelihood(self.value[self.known], patients, offset)
        event = self.event[self.known]
        if self.is_timed:
            return CoxLikelihood(self.time[self.known], event, patients, offset)
        return LabelLikelihood(event, patients, offset)


def regress(
    x: np.ndarray, outcomes: Outcomes, fold: np.ndarray, l1_ratio: float, offset: np.ndarray | None = None
) -> PenalisedFit:
    """An elastic-net regression at the penalty of the best cross-validated likelihood.

    Out-of-fold scores of patients without a known outcome, who are in no fit, are those of the whole fit.

    Args:
        x: (N, F) features.
        outcomes: of N patients.
        fold: (N,) numbers of inner folds.
        l1_ratio: 0 is ridge, 1 is lasso.
        offset: (N,) a known part of the score; None for none.
    """
    if not outcomes.vary or not x.shape[1]:
        return PenalisedFit(np.zeros(x.shape[1]), np.zeros(len(x)))
    known = np.flatnonzero(outcomes.known)
    cells = x[known] - x[known].mean(axis=0)
    part = None if offset is None else offset[known]

    fit = fit_penalised(cells, lambda patients: outcomes.likelihood(patients, part), fold[known], l1_ratio)
    scores = (x - x[known].mean(axis=0)) @ fit.weights
    scores[known] = fit.out_of_fold
    return PenalisedFit(fit.weights, scores, fit.gain, fit.error)


def most_likely_factors(scores: Tensor, outcomes: Outcomes, strength: float) -> np.ndarray:
    """The factors (K,) of scores (N, K) under whose sum the outcomes are the most likely.

    They are from 0 to 4, and pulled towards 1 / K each with the ``strength`` of a normal prior's precision.
    """
    known, number = np.flatnonzero(outcomes.known), scores.shape[1]
    x = scores.double().numpy()[known]
    middle = np.full(number, 1 / number)
    if not outcomes.vary or not x.any():
        return middle
    likelihood = outcomes.likelihood(np.ones((len(x), 1), dtype=bool))

    def loss(factors: np.ndarray) -> float:
        pull = 0.5 * strength * float(((factors - middle) ** 2).sum())
        return float((likelihood.value((x @ factors)[:, None]) * likelihood.events)[0]) + pull

    return np.asarray(minimize(loss, middle, bounds=[(0.0, 4.0)] * number, method="L-BFGS-B").x)


def baseline(score: Tensor, outcomes: Outcomes, days: Tensor) -> Tensor:
    """(12,) cumulative baseline hazard by ``days``; without times, the (1,) logit or value at score 0."""
    known = torch.from_numpy(outcomes.known)
    if outcomes.value is not None:
        value = torch.from_numpy(outcomes.value)
        return (value - score)[known].mean().reshape(1)
    event = torch.from_numpy(outcomes.event)[known]
    if outcomes.is_timed:
        return breslow(score[known], torch.from_numpy(outcomes.time)[known], event, days)
    everyone = np.ones((len(event), 1), dtype=bool)
    likelihood = LabelLikelihood(event.numpy(), everyone)
    likelihood.value(score[known].numpy()[:, None])
    return torch.from_numpy(likelihood.intercept)


def class_line(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Intercepts (K,) and the factor of scores (N, K) under whose softmax the classes are the most likely.

    Scores come from a regression of each class against the others, and the logit of one class against all
    is not the logit of a softmax: of two classes it is twice as large. The factor is pulled towards 1 with
    a normal prior of its logarithm, of standard deviation 1.

    Args:
        scores: of patients whose class is known.
        labels: (N, K) 1 for the patient's class, 0 for others.
    """

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        factor = np.exp(w[-1])
        logits = w[:-1] + factor * scores
        log = logits - logsumexp(logits, axis=1, keepdims=True)
        error = np.exp(log) - labels
        value = -float((log * labels).sum()) + 0.5 * float((w**2).sum())
        return value, np.append(error.sum(axis=0), factor * (error * scores).sum()) + w

    found = minimize(loss, np.zeros(scores.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return found[:-1], float(np.exp(found[-1]))
