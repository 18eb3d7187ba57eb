"""A table of fold results: means, pooled calibration, the cost of hiding modalities."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.fewest import FEWEST_OF_EACH
from hcat_core.metrics.resampling import rarer_outcome

METRICS = (
    "auc",
    "average_precision",
    "c_index",
    "brier",
    "brier_ipcw",
    "integrated_brier",
    "calibration_slope",
    "calibration_intercept",
    "f1",
)
RESAMPLES = 200


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over folds."""

    mean: float
    sd: float
    folds: int


@dataclass(frozen=True)
class PooledCalibration:
    """Slope and intercept of all folds' predictions together, with 95 % intervals; None where undefined."""

    slope: float | None = None
    slope_95: list[float] | None = None
    intercept: float | None = None
    intercept_95: list[float] | None = None


def spread_of(results: Sequence[FoldResult], task: str, metric: str) -> Spread | None:
    """Mean and standard deviation of a metric over the folds that have a value."""
    good = [r for r in results if r.error is None]
    scores = [r.tasks.get(task) or r.numbers.get(task) for r in good]
    return spread_of_scores([one for one in scores if one is not None], metric)


def spread_of_scores(scores: Sequence[FoldScores], metric: str) -> Spread | None:
    """Mean and standard deviation of a metric over the folds that have a value."""
    return spread_of_values([one.number(metric) for one in scores])


def spread_of_values(values: Sequence[float | None]) -> Spread | None:
    """Mean and standard deviation of values, without those that are None; None without any."""
    known = np.array([v for v in values if v is not None])
    if not len(known):
        return None
    return Spread(float(known.mean()), float(known.std(ddof=1)) if len(known) > 1 else math.nan, len(known))


def as_plain(spread: Spread | None) -> dict[str, float | None] | None:
    """The record with None in place of NaN, which JSON does not have."""
    if spread is None:
        return None
    return {name: None if math.isnan(value) else value for name, value in asdict(spread).items()}


def patients_with_rarer_outcome(
    results: Sequence[FoldResult], task: str, labels: np.ndarray, groups: np.ndarray | None
) -> int:
    """How many scored patients, or groups of them, have the rarer outcome of a task.

    Args:
        results: of any recipes.
        task: its name.
        labels: (N,) those of the whole cohort: 1, 0 or -1.
        groups: (N,) numbers of groups, or None.
    """
    rows = np.unique(_pooled([r.tasks[task].rows for r in results if task in r.tasks])).astype(int)
    return rarer_outcome(labels[rows], None if groups is None else groups[rows])


def pooled_calibration(
    results: Sequence[FoldResult], task: str, labels: np.ndarray, groups: np.ndarray | None, seed: int = 0
) -> PooledCalibration:
    """Slope and intercept of all folds' predictions together, with intervals over resampled patients.

    A patient is predicted once in each repeat: resampling draws patients, or groups of patients, with every
    prediction they have. Nothing is given for fewer than ten patients of either outcome.

    Args:
        results: of one recipe.
        task: its name.
        labels: (N,) those of the whole cohort: 1, 0 or -1.
        groups: (N,) numbers of groups, or None.
        seed: of the draws.
    """
    if patients_with_rarer_outcome(results, task, labels, groups) < FEWEST_OF_EACH:
        return PooledCalibration()
    scores = [r.tasks[task] for r in results if task in r.tasks]
    rows = _pooled([one.rows for one in scores]).astype(int)
    known = labels[rows] >= 0
    p = _pooled([one.probability for one in scores])[known]
    weights = _pooled([one.known_weights for one in scores])[known]
    y, rows = labels[rows[known]], rows[known]
    pooled = calibration(p, y, weights)
    drawn, place = np.unique(rows if groups is None else groups[rows], return_inverse=True)
    rng = np.random.default_rng(seed)
    slopes, intercepts = [], []
    for _ in range(RESAMPLES):
        count = np.bincount(rng.integers(0, len(drawn), len(drawn)), minlength=len(drawn))
        again = np.repeat(np.arange(len(rows)), count[place])
        resampled = calibration(p[again], y[again], weights[again])
        slopes.append(resampled.calibration_slope)
        intercepts.append(resampled.calibration_intercept)
    return PooledCalibration(
        slope=pooled.calibration_slope,
        slope_95=_interval(slopes),
        intercept=pooled.calibration_intercept,
        intercept_95=_interval(intercepts),
    )


def as_csv(
    results: Sequence[FoldResult], names: Sequence[str], outcomes: Sequence[str], others: Sequence[str] = ()
) -> str:
    """One row for each recipe and outcome: mean and standard deviation of every metric over folds.

    ``others`` are metrics of outcomes that are no events.
    """
    metrics = (*METRICS, *(name for name in others if name not in METRICS))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["recipe", "task", "folds", *itertools.chain(*((m, f"{m}_sd") for m in metrics))])
    for name, task in itertools.product(names, outcomes):
        of_recipe = [r for r in results if r.name == name]
        spreads = [spread_of(of_recipe, task, metric) for metric in metrics]
        numbers = [f"{v:.6g}" if s and math.isfinite(v) else "" for s in spreads for v in _pair(s)]
        folds = max((s.folds for s in spreads if s), default=0)
        writer.writerow([name, task, folds, *numbers])
    return buffer.getvalue()


def _pair(spread: Spread | None) -> tuple[float, float]:
    return (math.nan, math.nan) if spread is None else (spread.mean, spread.sd)


def _pooled(values: Sequence[Sequence[float]]) -> np.ndarray:
    """The values of all folds, one after the other."""
    return np.concatenate([np.asarray(one, float) for one in values]) if values else np.zeros(0)


def _interval(values: Sequence[float | None]) -> list[float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return [float(low), float(high)]
