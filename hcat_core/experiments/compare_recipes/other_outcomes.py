"""What a comparison of recipes says of outcomes that are no events: of classes, and of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.experiments.compare_recipes.differences import (
    Difference,
    paired_differences,
)
from hcat_core.experiments.compare_recipes.hidden_modalities import hidden_entry
from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.experiments.compare_recipes.table import (
    PooledCalibration,
    as_plain,
    spread_of_scores,
)
from hcat_core.layout import Outcome
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
    return {
        "kind": "multiclass",
        **{metric: as_plain(spread_of_scores(scores, metric)) for metric in CLASS_METRICS},
        "pooled_calibration": asdict(_pooled_calibration(scores, outcome, cohort)),
        **hidden_entry(scores, "auc", cohort.layout.names),
    }


def differences_of_numbers(
    results: Sequence[FoldResult], names: Sequence[str], cohort: Cohort, folds: int
) -> list[Difference]:
    """Differences of R2 to the first of ``names``, by outcome that is a number, and of their mean.

    Numbers with fewer than twenty patients have no interval and no verdict.
    """
    scored = _scored_numbers(results, cohort)
    few = [one.name for one in scored if _few_values(results, one, cohort)]
    return paired_differences(results, names, [one.name for one in scored], folds, few, "R2")


def numbers_document(
    results: Sequence[FoldResult], names: Sequence[str], cohort: Cohort, differences: Sequence[Difference]
) -> dict[str, Any]:
    """By outcome that is a number: each recipe's scores, and those of ``differences`` that are of it."""
    return {
        outcome.name: {
            "unit": cohort.layout.tasks[outcome.columns[0]].unit,
            "too_few": _few_values(results, outcome, cohort),
            "recipes": {name: _number_entry(results, name, outcome, cohort) for name in names},
            "differences": [difference_as_json(one) for one in differences if one.task == outcome.name],
        }
        for outcome in _scored_numbers(results, cohort)
    }


def difference_as_json(difference: Difference) -> dict[str, Any]:
    """The record and its verdict, for a JSON document."""
    return {**asdict(difference), "verdict": difference.verdict}


def known_values(results: Sequence[FoldResult], outcome: Outcome, cohort: Cohort) -> np.ndarray:
    """Rows of the scored patients whose value is known."""
    rows = _rows([r.numbers[outcome.name] for r in results if outcome.name in r.numbers])
    assert cohort.targets is not None
    known = np.isfinite(cohort.targets.values_of(outcome.columns[0]))
    return np.asarray(rows[known[rows]])


def _scored_numbers(results: Sequence[FoldResult], cohort: Cohort) -> list[Outcome]:
    return [
        outcome
        for outcome in cohort.layout.outcomes
        if outcome.kind == "continuous" and any(outcome.name in r.numbers for r in results)
    ]


def _few_values(results: Sequence[FoldResult], outcome: Outcome, cohort: Cohort) -> bool:
    return len(known_values(results, outcome, cohort)) < FEWEST_TO_RESAMPLE


def _number_entry(
    results: Sequence[FoldResult], name: str, outcome: Outcome, cohort: Cohort
) -> dict[str, Any] | None:
    """One recipe's scores of a number; None where it has none."""
    own = [r for r in results if r.name == name and r.error is None]
    scores = [r.numbers[outcome.name] for r in own if outcome.name in r.numbers]
    if not scores:
        return None
    return {
        **{metric: as_plain(spread_of_scores(scores, metric)) for metric in VALUE_METRICS},
        **hidden_entry(scores, "r2", cohort.layout.names),
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
