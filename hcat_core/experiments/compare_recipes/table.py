"""Fold records -> a table: means, paired differences, pooled calibration, what hiding modalities costs."""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from hcat_core.metrics.calibration import calibration

Record = dict[str, Any]
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
RESAMPLES = 200


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over folds."""

    mean: float
    sd: float
    folds: int


@dataclass(frozen=True)
class Difference:
    """``name`` minus ``other`` in AUC on the same folds, with the Nadeau-Bengio 95 % interval."""

    name: str
    other: str
    task: str
    what: str
    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """In words."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no detectable difference"


def spread_of(records: Sequence[Record], task: str, metric: str) -> Spread | None:
    """Over the folds that have a value."""
    values = [r["tasks"][task].get(metric) for r in records if task in r["tasks"] and r["error"] is None]
    known = np.array([v for v in values if v is not None])
    if not len(known):
        return None
    return Spread(float(known.mean()), float(known.std(ddof=1)) if len(known) > 1 else math.nan, len(known))


def nadeau_bengio(differences: np.ndarray, n_folds: int) -> tuple[float, float]:
    """95 % interval of a mean paired difference over resampled folds (Nadeau and Bengio 2003).

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
    records: Sequence[Record], names: Sequence[str], tasks: Sequence[str], reference: str, n_folds: int
) -> list[Difference]:
    """Every recipe against ``reference``: per task, over tasks, and with two modalities hidden."""
    result = []
    for name in names:
        if name == reference:
            continue
        for what in ("all modalities", "two hidden"):
            for task in (*tasks, MEAN_OF_TASKS):
                own = _by_fold(records, name, task, tasks, what)
                other = _by_fold(records, reference, task, tasks, what)
                shared = sorted(own.keys() & other.keys())
                if not shared:
                    continue
                differences = np.array([own[key] - other[key] for key in shared])
                low, high = nadeau_bengio(differences, n_folds)
                result.append(Difference(name, reference, task, what, float(differences.mean()), low, high))
    return result


def hidden_two(record: Record, task: str) -> float | None:
    """Mean AUC over the ways to hide two modalities at test time; None with fewer than three."""
    subsets: dict[str, float | None] = record["tasks"][task]["subsets"]
    sizes = {name: len(name.split("+")) for name in subsets}
    left = max(sizes.values(), default=0) - 2
    values = [v for name, v in subsets.items() if sizes[name] == left and v is not None]
    return float(np.mean(values)) if left > 0 and values else None


def without_each(records: Sequence[Record], task: str, modalities: Sequence[str]) -> dict[str, float]:
    """By modality: mean fall of the AUC when it is hidden from everyone at test time."""
    falls: dict[str, list[float]] = {name: [] for name in modalities}
    for record in records:
        subsets = record["tasks"].get(task, {}).get("subsets", {})
        whole = subsets.get("+".join(modalities))
        for name in modalities:
            left = subsets.get("+".join(m for m in modalities if m != name))
            if whole is not None and left is not None:
                falls[name].append(whole - left)
    return {name: float(np.mean(values)) for name, values in falls.items() if values}


def pooled_calibration(
    records: Sequence[Record], task: str, labels: np.ndarray, seed: int = 0
) -> dict[str, Any]:
    """Slope and intercept of all folds' predictions together, the interval over resampled patients.

    A patient is predicted once a repeat: resampling draws patients, with every prediction they have.
    """
    own = [r["tasks"][task] for r in records if task in r["tasks"]]
    rows = np.concatenate([np.array(one["rows"], int) for one in own])
    p, weights = (
        np.concatenate([np.array(one[key]) for one in own]) for key in ("probability", "known_weights")
    )
    y = labels[rows]
    whole = calibration(p, y, weights)
    known = y >= 0
    rows, p, y, weights = rows[known], p[known], y[known], weights[known]
    patients, place = np.unique(rows, return_inverse=True)
    rng = np.random.default_rng(seed)
    slopes, intercepts = [], []
    for _ in range(RESAMPLES):
        count = np.bincount(rng.integers(0, len(patients), len(patients)), minlength=len(patients))
        again = np.repeat(np.arange(len(rows)), count[place])
        found = calibration(p[again], y[again], weights[again])
        slopes.append(found.calibration_slope)
        intercepts.append(found.calibration_intercept)
    return {
        "slope": whole.calibration_slope,
        "slope_95": _interval(slopes),
        "intercept": whole.calibration_intercept,
        "intercept_95": _interval(intercepts),
    }


def as_csv(records: Sequence[Record], names: Sequence[str], tasks: Sequence[str]) -> str:
    """A row for each recipe and task: mean and SD of every metric over folds."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["recipe", "task", "folds", *itertools.chain(*((m, f"{m}_sd") for m in METRICS))])
    for name, task in itertools.product(names, tasks):
        own = [r for r in records if r["name"] == name]
        spreads = [spread_of(own, task, metric) for metric in METRICS]
        numbers = [f"{v:.6g}" if s and math.isfinite(v) else "" for s in spreads for v in _pair(s)]
        folds = max((s.folds for s in spreads if s), default=0)
        writer.writerow([name, task, folds, *numbers])
    return buffer.getvalue()


def _pair(spread: Spread | None) -> tuple[float, float]:
    return (math.nan, math.nan) if spread is None else (spread.mean, spread.sd)


def _by_fold(
    records: Sequence[Record], name: str, task: str, tasks: Sequence[str], what: str
) -> dict[tuple[int, int], float]:
    """AUC by (repeat, fold); over tasks where all of them have one."""
    wanted = tasks if task == MEAN_OF_TASKS else [task]
    found: dict[tuple[int, int], dict[str, float]] = {}
    for record in records:
        if record["name"] != name or record["error"] is not None:
            continue
        for one in wanted:
            if one not in record["tasks"]:
                continue
            value = record["tasks"][one]["auc"] if what == "all modalities" else hidden_two(record, one)
            if value is not None:
                found.setdefault((record["repeat"], record["fold"]), {})[one] = value
    return {key: float(np.mean(list(v.values()))) for key, v in found.items() if len(v) == len(wanted)}


def _interval(values: Sequence[float | None]) -> list[float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return [float(low), float(high)]
