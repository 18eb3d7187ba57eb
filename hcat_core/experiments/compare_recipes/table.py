"""A table of fold results: means, paired differences, pooled calibration, the cost of hiding modalities."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.metrics.calibration import calibration

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
MEAN_OF_TASKS = "mean of tasks"
ALL_MODALITIES, TWO_HIDDEN = "all modalities", "two hidden"
RESAMPLES = 200


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over folds."""

    mean: float
    sd: float
    folds: int


@dataclass(frozen=True)
class Difference:
    """AUC of ``name`` minus that of ``other`` on the same folds, with the Nadeau-Bengio 95 % interval.

    ``what`` is ``ALL_MODALITIES`` or ``TWO_HIDDEN``.
    """

    name: str
    other: str
    task: str
    what: str
    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """The difference in words."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no detectable difference"


@dataclass(frozen=True)
class PooledCalibration:
    """Slope and intercept of all folds' predictions together, with 95 % intervals; None where undefined."""

    slope: float | None
    slope_95: list[float] | None
    intercept: float | None
    intercept_95: list[float] | None


def spread_of(results: Sequence[FoldResult], task: str, metric: str) -> Spread | None:
    """Mean and standard deviation of a metric over the folds that have a value."""
    values = [r.tasks[task].number(metric) for r in results if task in r.tasks and r.error is None]
    known = np.array([v for v in values if v is not None])
    if not len(known):
        return None
    return Spread(float(known.mean()), float(known.std(ddof=1)) if len(known) > 1 else math.nan, len(known))


def nadeau_bengio(differences: np.ndarray, n_folds: int) -> tuple[float, float]:
    """The 95 % interval of a mean paired difference over resampled folds (Nadeau and Bengio 2003).

    Folds share training patients: the variance of the mean of J differences is s^2 (1 / J + q), q the
    ratio of test to training patients, 1 / (n_folds - 1).
    """
    j = len(differences)
    if j < 2:
        return math.nan, math.nan
    error = differences.std(ddof=1) * math.sqrt(1 / j + 1 / (n_folds - 1))
    half = float(stats.t.ppf(0.975, j - 1) * error)
    return float(differences.mean()) - half, float(differences.mean()) + half


def paired_differences(
    results: Sequence[FoldResult], names: Sequence[str], tasks: Sequence[str], reference: str, n_folds: int
) -> list[Difference]:
    """Every recipe against ``reference``: by task, over several tasks, and with two modalities hidden."""
    differences = []
    rows = (*tasks, MEAN_OF_TASKS) if len(tasks) > 1 else tasks
    for name in names:
        if name == reference:
            continue
        for what in (ALL_MODALITIES, TWO_HIDDEN):
            for task in rows:
                auc = _auc_by_fold(results, name, task, tasks, what)
                reference_auc = _auc_by_fold(results, reference, task, tasks, what)
                shared = sorted(auc.keys() & reference_auc.keys())
                if not shared:
                    continue
                by_fold = np.array([auc[fold] - reference_auc[fold] for fold in shared])
                low, high = nadeau_bengio(by_fold, n_folds)
                mean = float(by_fold.mean())
                differences.append(Difference(name, reference, task, what, mean, low, high))
    return differences


def auc_with_two_hidden(scores: FoldScores) -> float | None:
    """Mean AUC over the ways to hide two modalities at test time; None with fewer than three."""
    sizes = {name: len(name.split("+")) for name in scores.subsets}
    remaining = max(sizes.values(), default=0) - 2
    values = [v for name, v in scores.subsets.items() if sizes[name] == remaining and v is not None]
    return float(np.mean(values)) if remaining > 0 and values else None


def auc_fall_without(
    results: Sequence[FoldResult], task: str, modalities: Sequence[str]
) -> dict[str, float]:
    """By modality, the mean fall of the AUC when it is hidden from every patient at test time."""
    falls: dict[str, list[float]] = {name: [] for name in modalities}
    for result in results:
        subsets = result.tasks[task].subsets if task in result.tasks else {}
        with_all = subsets.get("+".join(modalities))
        for name in modalities:
            without = subsets.get("+".join(m for m in modalities if m != name))
            if with_all is not None and without is not None:
                falls[name].append(with_all - without)
    return {name: float(np.mean(values)) for name, values in falls.items() if values}


def pooled_calibration(
    results: Sequence[FoldResult], task: str, labels: np.ndarray, seed: int = 0
) -> PooledCalibration:
    """Slope and intercept of all folds' predictions together, with intervals over resampled patients.

    A patient is predicted once in each repeat: resampling draws patients, with every prediction they have.
    ``labels`` (N,) are those of the whole cohort: 1, 0 or -1.
    """
    scores = [r.tasks[task] for r in results if task in r.tasks]
    rows = np.concatenate([np.array(one.rows, int) for one in scores])
    p = np.concatenate([np.array(one.probability) for one in scores])
    weights = np.concatenate([np.array(one.known_weights) for one in scores])
    y = labels[rows]
    pooled = calibration(p, y, weights)
    known = y >= 0
    rows, p, y, weights = rows[known], p[known], y[known], weights[known]
    patients, place = np.unique(rows, return_inverse=True)
    rng = np.random.default_rng(seed)
    slopes, intercepts = [], []
    for _ in range(RESAMPLES):
        count = np.bincount(rng.integers(0, len(patients), len(patients)), minlength=len(patients))
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


def as_csv(results: Sequence[FoldResult], names: Sequence[str], tasks: Sequence[str]) -> str:
    """One row for each recipe and task: mean and standard deviation of every metric over folds."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["recipe", "task", "folds", *itertools.chain(*((m, f"{m}_sd") for m in METRICS))])
    for name, task in itertools.product(names, tasks):
        of_recipe = [r for r in results if r.name == name]
        spreads = [spread_of(of_recipe, task, metric) for metric in METRICS]
        numbers = [f"{v:.6g}" if s and math.isfinite(v) else "" for s in spreads for v in _pair(s)]
        folds = max((s.folds for s in spreads if s), default=0)
        writer.writerow([name, task, folds, *numbers])
    return buffer.getvalue()


def _pair(spread: Spread | None) -> tuple[float, float]:
    return (math.nan, math.nan) if spread is None else (spread.mean, spread.sd)


def _auc_by_fold(
    results: Sequence[FoldResult], name: str, task: str, tasks: Sequence[str], what: str
) -> dict[tuple[int, int], float]:
    """AUC by (repeat, fold); for the mean of tasks, only where each of them has one."""
    wanted = tasks if task == MEAN_OF_TASKS else [task]
    aucs: dict[tuple[int, int], dict[str, float]] = {}
    for result in results:
        if result.name != name or result.error is not None:
            continue
        for one in wanted:
            if one not in result.tasks:
                continue
            scores = result.tasks[one]
            value = scores.auc if what == ALL_MODALITIES else auc_with_two_hidden(scores)
            if value is not None:
                aucs.setdefault((result.repeat, result.fold), {})[one] = value
    return {fold: float(np.mean(list(v.values()))) for fold, v in aucs.items() if len(v) == len(wanted)}


def _interval(values: Sequence[float | None]) -> list[float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return [float(low), float(high)]
