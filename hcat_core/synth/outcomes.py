"""Draw outcomes with times from a known risk: Weibull proportional hazards, death, censoring.

    risk_t = cluster effect + coefficients_t . shared factors + sum over pairs (i, j) of product_tij z_i z_j
    P(T <= h) = 1 - exp(-(h / scale_t) ** shape * exp(risk_t))

Death before recurrence censors the recurrence. Follow-up ends at a random date.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hcat_core.layout import Task

TASKS = (Task("survival", 1826.0, "death"), Task("recurrence", 730.0, "recurrence"))
SHAPE = 1.2
SCALE = np.array([4200.0, 2300.0])  # days, at risk 0: about two fifths of known outcomes are events
MAIN, INTERACTIONS = 0.3, 2.5  # spread of the log hazard ratio where products decide
FOLLOW_UP = (180.0, 3650.0)  # days, uniform: about two fifths of outcomes are unknown at five years


@dataclass(frozen=True)
class RiskModel:
    """Log hazard ratios of T tasks.

    Attributes:
        coefficients: (T, S) of S shared factors.
        cluster: (T, K) effects of K clusters.
        pairs: (P, 2) which factors are multiplied.
        products: (T, P) coefficients of their products.
    """

    coefficients: np.ndarray
    cluster: np.ndarray
    pairs: np.ndarray
    products: np.ndarray

    @classmethod
    def draw(cls, shared: int, clusters: int, rng: np.random.Generator) -> RiskModel:
        """Draw two correlated risks; the factors give each a standard deviation of about 1.2."""
        coefficients = _two_tasks(shared, 1.2, rng)
        cluster = rng.standard_normal((len(TASKS), clusters)) * (0.5 if clusters > 1 else 0.0)
        pairs = np.array([(0, 1)] if shared > 1 else [], int).reshape(-1, 2)
        return cls(coefficients, cluster, pairs, np.full((len(TASKS), len(pairs)), 0.3))

    @classmethod
    def draw_interactions(
        cls, shared: int, clusters: int, private: Sequence[int], rng: np.random.Generator
    ) -> RiskModel:
        """Draw two correlated risks from the products of all pairs of ``private`` factors.

        Products have a standard deviation of ``INTERACTIONS`` in all, shared factors of ``MAIN``; clusters
        have no effect. A product of two independent factors of mean 0 is uncorrelated with each of them.
        """
        coefficients = _two_tasks(shared, MAIN, rng)
        pairs = np.array(list(itertools.combinations(private, 2)), int).reshape(-1, 2)
        products = _two_tasks(len(pairs), INTERACTIONS, rng)
        return cls(coefficients, np.zeros((len(TASKS), clusters)), pairs, products)

    def risk(self, cluster: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """(N, T) log hazard ratios of (N,) clusters and (N, R) factors, the shared ones first."""
        shared = factors[:, : self.coefficients.shape[1]]
        products = factors[:, self.pairs[:, 0]] * factors[:, self.pairs[:, 1]]
        return np.asarray(
            shared @ self.coefficients.T + self.cluster.T[cluster] + products @ self.products.T
        )


def _two_tasks(count: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """(T, count) coefficients that are correlated between tasks; each task's have the norm ``spread``."""
    common = rng.standard_normal(count)
    coefficients = common + 0.7 * rng.standard_normal((len(TASKS), count))
    return np.asarray(coefficients * (spread / np.sqrt((coefficients**2).sum(axis=1, keepdims=True))))


@dataclass(frozen=True)
class SyntheticOutcomes:
    """Outcomes of N patients in T tasks, (N, T) each.

    Attributes:
        risk: true log hazard ratio.
        probability: true probability of the event by the horizon.
        time: observed, in whole days.
        event: 1 where the event was observed, 0 where the patient was censored.
        labels: 1 event by the horizon, 0 event-free, -1 unknown.
    """

    risk: np.ndarray
    probability: np.ndarray
    time: np.ndarray
    event: np.ndarray
    labels: np.ndarray


def event_probability(risk: np.ndarray) -> np.ndarray:
    """(N, T) probability of the event within each task's horizon, without censoring."""
    horizons = np.array([task.horizon for task in TASKS])
    return np.asarray(1 - np.exp(-((horizons / SCALE) ** SHAPE) * np.exp(risk)))


def draw_outcomes(
    model: RiskModel, cluster: np.ndarray, factors: np.ndarray, rng: np.random.Generator
) -> SyntheticOutcomes:
    """Draw times in whole days, events and labels, as a registry would record them."""
    from hcat_core.data.outcomes import derive_labels

    risk = model.risk(cluster, factors)
    n = len(risk)
    latent = SCALE * (-np.log(rng.random((n, len(TASKS)))) * np.exp(-risk)) ** (1 / SHAPE)
    last_seen = rng.uniform(*FOLLOW_UP, size=n)
    time = np.empty_like(latent)
    event = np.empty(latent.shape, np.int8)
    limit = last_seen
    for column in range(len(TASKS)):  # death first: it ends the follow-up of the other task
        time[:, column] = np.ceil(np.minimum(latent[:, column], limit))
        event[:, column] = latent[:, column] <= limit
        if column == 0:
            limit = np.minimum(latent[:, 0], last_seen)
    labels = np.stack(
        [
            derive_labels(time[:, column], event[:, column], task.horizon)
            for column, task in enumerate(TASKS)
        ],
        axis=1,
    )
    return SyntheticOutcomes(risk, event_probability(risk), time, event, labels)
