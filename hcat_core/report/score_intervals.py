"""95 % intervals of scores of test patients that the tables show beside those of the summary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcat_core.metrics.resampling import sums_by_group
from hcat_core.report.inputs import KnownOutcomes
from hcat_core.report.performance_figures import Z_95, wilson

Pair = tuple[float, float]


@dataclass(frozen=True)
class ScoreIntervals:
    """95 % intervals; None where nobody has the outcome that a score is about.

    Attributes:
        brier: of the weighted mean squared error, normal.
        sensitivity: Wilson's, of the effective number of patients with the event.
        specificity: Wilson's, of the effective number of patients without it.
    """

    brier: Pair | None = None
    sensitivity: Pair | None = None
    specificity: Pair | None = None


def score_intervals(known: KnownOutcomes, threshold: float) -> ScoreIntervals:
    """Intervals of one task's scores, weighted for censoring; records of one group count together."""
    called = known.probability >= threshold
    return ScoreIntervals(
        _of_mean((known.probability - known.label) ** 2, known),
        _of_share(called, known.label == 1, known),
        _of_share(~called, known.label == 0, known),
    )


def _of_mean(values: np.ndarray, known: KnownOutcomes) -> Pair | None:
    if len(values) < 2:
        return None
    w = known.weights / known.weights.sum()
    mean = float(w @ values)
    deviations = sums_by_group(w * (values - mean), known.groups)
    half = Z_95 * float(np.sqrt((deviations**2).sum()))
    return max(0.0, mean - half), mean + half


def _of_share(right: np.ndarray, rows: np.ndarray, known: KnownOutcomes) -> Pair | None:
    if not rows.any():
        return None
    w = known.weights[rows]
    units = sums_by_group(w, None if known.groups is None else known.groups[rows])
    low, high = wilson(float(np.average(right[rows], weights=w)), w.sum() ** 2 / (units**2).sum())
    return float(low), float(high)
