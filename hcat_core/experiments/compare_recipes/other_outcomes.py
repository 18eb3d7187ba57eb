"""What a comparison of recipes says of outcomes that are no events: of classes, and of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hcat_core.cohort import Cohort, Outcome
from hcat_core.experiments.compare_recipes.differences import (
    Difference,
    auc_with_two_hidden,
    paired_differences,
)
from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.experiments.compare_recipes.table import (
    PooledCalibration,
    as_plain,
    fall_without,
    spread_of_scores,
)
from hcat_core.metrics.classes import KnownClasses, class_calibration_slope, class_numbers
from hcat_core.metrics.fewest import FEWEST_TO_RESAMPLE
from hcat_core.metrics.resampling import units_of_each

CLASS_METRICS = ("auc", "log_loss", "brier", "accuracy", "balanced_accuracy")
VALUE_METRICS = ("r2", "mae", "rmse", "spearman", "coverage_90", "width_90")


def rarest_class(results: Sequence[FoldResult], outcome: Outcome, cohort: Cohort) -> int:
    """How many scored patients, or groups, are of the rarest class; 0 with fewer than two classes."""
    label = _labels(outcome, cohort)
    rows = _rows([r.tasks[outcome.name] for r in results if outcome.name in r.tasks])
    groups = None if cohort.groups is None else np.unique(cohort.groups, return_inverse=True)[1][rows]
    units = units_of_each(label[rows], groups)
    return min(units.values()) if len(units) > 1 else 0


def class_entry(results: Sequence[FoldResult], outcome: Outcome, cohort: Cohort) -> dict[str, Any]:
    """One recipe's scores of an outcome of classes: means over folds, and pooled calibration.

    Args:
        results: of the recipe, on folds on which the outcome was scored.
        outcome: of classes.
        cohort: with outcomes.
    """
    scores = [r.tasks[outcome.name] for r in results]
    hidden = [value for value in map(auc_with_two_hidden, scores) if value is not None]
    return {
        "kind": "multiclass",
        **{metric: as_plain(spread_of_scores(scores, metric)) for metric in CLASS_METRICS},
        "pooled_calibration": asdict(_pooled_calibration(scores, outcome, cohort)),
        "auc_two_hidden": float(np.mean(hidden)) if hidden else None,
        "auc_fall_without": fall_without(scores, cohort.layout.names),
    }


def numbers_document(
    results: Sequence[FoldResult], names: Sequence[str], cohort: Cohort, folds: int
) -> dict[str, Any]:
    """By outcome that is a number: each recipe's scores, and differences of R2 to the first of ``names``.

    With fewer than twenty patients there is no interval and no verdict.
    """
    document = {}
    for outcome in cohort.layout.outcomes:
        scored = [r for r in results if outcome.name in r.numbers]
        if outcome.kind != "continuous" or not scored:
            continue
        few = len(known_values(scored, outcome, cohort)) < FEWEST_TO_RESAMPLE
        differences = paired_differences(
            scored, names, (outcome.name,), folds, (outcome.name,) if few else ()
        )
        document[outcome.name] = {
            "unit": cohort.layout.tasks[outcome.columns[0]].unit,
            "too_few": few,
            "recipes": {name: _number_entry(scored, name, outcome, cohort) for name in names},
            "differences": [difference_as_json(one) for one in differences],
        }
    return document


def difference_as_json(difference: Difference) -> dict[str, Any]:
    """The record and its verdict, for a JSON document."""
    return {**asdict(difference), "verdict": difference.verdict}


def known_values(results: Sequence[FoldResult], outcome: Outcome, cohort: Cohort) -> np.ndarray:
    """Rows of the scored patients whose value is known."""
    rows = _rows([r.numbers[outcome.name] for r in results])
    assert cohort.targets is not None
    known = np.isfinite(cohort.targets.values_of(outcome.columns[0]))
    return np.asarray(rows[known[rows]])


def _number_entry(
    results: Sequence[FoldResult], name: str, outcome: Outcome, cohort: Cohort
) -> dict[str, Any] | None:
    """One recipe's scores of a number; None where it has none."""
    scores = [r.numbers[outcome.name] for r in results if r.name == name and r.error is None]
    if not scores:
        return None
    hidden = [value for value in map(auc_with_two_hidden, scores) if value is not None]
    return {
        **{metric: as_plain(spread_of_scores(scores, metric)) for metric in VALUE_METRICS},
        "r2_two_hidden": float(np.mean(hidden)) if hidden else None,
        "r2_fall_without": fall_without(scores, cohort.layout.names),
    }


def _pooled_calibration(
    scores: Sequence[FoldScores], outcome: Outcome, cohort: Cohort
) -> PooledCalibration:
    """The slope of all folds' predictions together; a patient's predictions, or a group's, go together."""
    rows = np.concatenate([np.asarray(one.rows, dtype=int) for one in scores])
    probability = np.concatenate([np.asarray(one.classes).T for one in scores])
    label = _labels(outcome, cohort)[rows]
    units = rows if cohort.groups is None else np.unique(cohort.groups, return_inverse=True)[1][rows]
    known = label >= 0
    slope = class_calibration_slope(KnownClasses(probability[known], label[known], units[known]))
    return PooledCalibration() if slope is None else PooledCalibration(slope[0], list(slope[1]))


def _labels(outcome: Outcome, cohort: Cohort) -> np.ndarray:
    """(N,) number of each patient's class; -1 where unknown."""
    assert cohort.targets is not None
    return class_numbers(cohort.targets.labels[:, list(outcome.columns)].numpy())


def _rows(scores: Sequence[FoldScores]) -> np.ndarray:
    """Rows of the patients that were scored on any fold."""
    rows = [np.asarray(one.rows, dtype=int) for one in scores]
    return np.unique(np.concatenate(rows)) if rows else np.zeros(0, dtype=int)
