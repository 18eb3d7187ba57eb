"""The best possible AUC on a synthetic cohort, from the measured cells and from the true risks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcat_core.synth.curve_posterior import draw_posterior, event_probability_of_draws
from hcat_core.synth.generator import SyntheticCohort
from hcat_core.synth.oracle import (
    BATCH,
    condition_on_pattern,
    expected_event_probability,
    factor_posterior,
)
from hcat_core.synth.outcomes import TASKS

DRAWS = 256


@dataclass(frozen=True)
class BestAuc:
    """The best possible AUC of a task, without loss to follow-up.

    Attributes:
        task: its name.
        measured: patients ranked by P(event | their measured cells).
        truth: patients ranked by their true event probability.
    """

    task: str
    measured: float
    truth: float


def best_auc(cohort: SyntheticCohort, *, seed: int = 0) -> list[BestAuc]:
    """Compute the best possible AUC of every task.

    Blocks that are noise count as not measured: a model that recognises them, by their quality, can do as
    well. Under MNAR, the pattern counts as measured.
    """
    expected = _event_probability(cohort, seed)
    true = cohort.outcomes.probability
    return [
        BestAuc(task.name, expected_auc(expected[:, t], true[:, t]), expected_auc(true[:, t], true[:, t]))
        for t, task in enumerate(TASKS)
    ]


def _event_probability(cohort: SyntheticCohort, seed: int) -> np.ndarray:
    """(N, T) P(event by the horizon | informative cells)."""
    parameters, seen, model = cohort.parameters, cohort.informative, cohort.risk_model
    rng = np.random.default_rng(seed)
    if parameters.curve is not None:
        parts = []
        for start in range(0, len(seen), BATCH):
            rows = slice(start, start + BATCH)
            pattern = cohort.missingness.of_patients(rows)
            drawn = draw_posterior(parameters, cohort.complete[rows], seen[rows], pattern, DRAWS, rng)
            parts.append(event_probability_of_draws(model, drawn))
        return np.concatenate(parts)
    posterior = factor_posterior(parameters, cohort.complete, seen)
    if cohort.missingness.mechanism == "mnar":
        posterior = condition_on_pattern(
            parameters, posterior, cohort.complete, seen, cohort.missingness, DRAWS, rng
        )
    return expected_event_probability(model, posterior, draws=DRAWS, seed=seed)


def expected_auc(score: np.ndarray, probability: np.ndarray) -> float:
    """AUC of (N,) scores, averaged over events drawn with (N,) probabilities.

    The sum over pairs i != j of p_i (1 - p_j) [score_i > score_j], by the sum of p_i (1 - p_j); ties count
    half. This ratio of expectations is the expected AUC up to O(1 / N).
    """
    values, group = np.unique(score, return_inverse=True)
    events = np.bincount(group, probability, len(values))
    free = np.bincount(group, 1 - probability, len(values))
    below = np.cumsum(free) - free
    with_itself = np.bincount(group, probability * (1 - probability), len(values))
    right_order = (events * (below + free / 2)).sum() - with_itself.sum() / 2
    return float(right_order / (probability.sum() * (1 - probability).sum() - with_itself.sum()))
