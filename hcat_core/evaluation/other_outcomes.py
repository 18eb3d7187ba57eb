"""Scores of outcomes that are no events: classes, and numbers.

Each outcome is scored once: one of classes as a whole, and each of its classes against all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hcat_core.cohort import Cohort, Targets
from hcat_core.data.splits import SPLITS, Split
from hcat_core.evaluation.scores import ScoringSettings, TaskScores, score_column, tasks_as_json
from hcat_core.interfaces import Prediction
from hcat_core.layout import Outcome
from hcat_core.metrics.classes import (
    ClassMetrics,
    KnownClasses,
    class_calibration_slope,
    class_metrics,
    known_classes,
)
from hcat_core.metrics.fewest import FEWEST_OF_EACH, FEWEST_TO_RESAMPLE
from hcat_core.metrics.resampling import group_numbers
from hcat_core.metrics.values import KnownValues, ValueMetrics, value_metrics


@dataclass(frozen=True)
class ClassScores(ClassMetrics):
    """Scores of an outcome of several classes for one group of patients.

    The fields are those of ``ClassMetrics``, and:

    Attributes:
        patients: number whose class is known.
        rarest_class: patients, or groups, of the rarest class that occurs; 0 where fewer than two do.
        calibration_slope: of all classes together; 1 is ideal, below 1 the probabilities are too extreme.
        calibration_slope_95: Wald's 95 % interval of it.
        by_class: scores of each class against all others, by its value in the file. Their decisions are
            those at a threshold for the class alone, not those of ``confusion``.
    """

    patients: int
    rarest_class: int
    calibration_slope: float | None
    calibration_slope_95: tuple[float, float] | None
    by_class: Mapping[str, TaskScores]

    @property
    def few(self) -> bool:
        """Whether a class that occurs has too few patients, or groups, or fewer than two classes occur."""
        return self.rarest_class < FEWEST_OF_EACH

    def as_json(self) -> dict[str, object]:
        """The scores by name, for a JSON document."""
        return {"kind": "multiclass", **vars(self), "by_class": tasks_as_json(self.by_class)}


@dataclass(frozen=True)
class ValueScores(ValueMetrics):
    """Scores of a predicted number for one group of patients.

    The fields are those of ``ValueMetrics``, and:

    Attributes:
        patients: number whose value is known.
        units: the same; with groups, number of groups.
        mean_predicted: mean of their predictions.
        mean_observed: mean of their values.
        training_mean: mean of the training patients' values, which R2 compares with.
        unit: of the value; empty where it has none.
    """

    patients: int
    units: int
    mean_predicted: float | None
    mean_observed: float | None
    training_mean: float | None
    unit: str

    @property
    def few(self) -> bool:
        """Whether they are too few for any score to be given an interval."""
        return self.units < FEWEST_TO_RESAMPLE

    def as_json(self) -> dict[str, object]:
        """The scores by name, for a JSON document."""
        return {"kind": "continuous", **vars(self)}


OtherScores = ClassScores | ValueScores


def others_as_json(scores: Mapping[str, OtherScores]) -> dict[str, dict[str, object]]:
    """Scores by outcome, for a JSON document."""
    return {outcome: one.as_json() for outcome, one in scores.items()}


def score_others(
    cohort: Cohort, predicted: Prediction, settings: ScoringSettings
) -> dict[str, OtherScores]:
    """Score a group of patients by outcome: those of classes, and numbers.

    Args:
        cohort: N patients with targets.
        predicted: their predictions.
        settings: outcomes of training patients, resamples.
    """
    scores: dict[str, OtherScores] = {}
    for outcome in cohort.layout.outcomes:
        if outcome.kind == "class":
            scores[outcome.name] = _score_classes(cohort, predicted, settings, outcome)
        elif outcome.kind == "continuous":
            scores[outcome.name] = _score_values(cohort, predicted, settings, outcome)
    return scores


def score_others_split(
    cohort: Cohort, split: Split, predicted: Prediction, settings: ScoringSettings
) -> dict[str, dict[str, OtherScores]]:
    """Score the training, validation and test patients of a cohort, by side and outcome."""
    sides = zip(SPLITS, (split.train, split.validation, split.test), strict=True)
    return {side: score_others(cohort[rows], predicted[rows.numpy()], settings) for side, rows in sides}


def classes_of(cohort: Cohort, predicted: Prediction, outcome: Outcome) -> KnownClasses:
    """The patients whose class of an outcome is known, with their predictions.

    Args:
        cohort: N patients with targets.
        predicted: of these patients.
        outcome: of classes.
    """
    assert cohort.targets is not None
    columns = list(outcome.columns)
    labels = cohort.targets.labels[:, columns].numpy()
    return known_classes(predicted.probability[:, columns], labels, group_numbers(cohort.groups))


def values_of(cohort: Cohort, predicted: Prediction, outcome: Outcome, train: Targets) -> KnownValues:
    """The patients whose value of an outcome is known, with their predictions.

    Args:
        cohort: N patients with targets.
        predicted: of these patients.
        outcome: a number.
        train: outcomes of training patients, for their mean.
    """
    assert cohort.targets is not None
    column = outcome.columns[0]
    observed = cohort.targets.values_of(column)
    known, groups = np.isfinite(observed), group_numbers(cohort.groups)
    return KnownValues(
        observed[known],
        predicted.values[known, column],
        predicted.low[known, column],
        predicted.high[known, column],
        training_mean(train, column),
        None if groups is None else groups[known],
    )


def training_mean(train: Targets, column: int) -> float:
    """The mean value of training patients; NaN where none is known."""
    values = train.values_of(column)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def _score_classes(
    cohort: Cohort, predicted: Prediction, settings: ScoringSettings, outcome: Outcome
) -> ClassScores:
    assert cohort.targets is not None
    known = classes_of(cohort, predicted, outcome)
    rows = (cohort.targets.labels[:, list(outcome.columns)] >= 0).any(dim=1).numpy()
    slope = class_calibration_slope(known)
    tasks = cohort.layout.tasks
    return ClassScores(
        **vars(class_metrics(known, settings.resampling(cohort).of(rows))),
        patients=len(known.label),
        rarest_class=known.rarest,
        calibration_slope=None if slope is None else slope[0],
        calibration_slope_95=None if slope is None else slope[1],
        by_class={
            tasks[column].class_name: score_column(cohort, predicted, settings, column)
            for column in outcome.columns
        },
    )


def _score_values(
    cohort: Cohort, predicted: Prediction, settings: ScoringSettings, outcome: Outcome
) -> ValueScores:
    assert cohort.targets is not None
    known = values_of(cohort, predicted, outcome, settings.train)
    rows = np.isfinite(cohort.targets.values_of(outcome.columns[0]))
    some = bool(len(known.observed))
    return ValueScores(
        **vars(value_metrics(known, settings.resampling(cohort).of(rows))),
        patients=len(known.observed),
        units=known.units,
        mean_predicted=float(known.predicted.mean()) if some else None,
        mean_observed=float(known.observed.mean()) if some else None,
        training_mean=known.training_mean if np.isfinite(known.training_mean) else None,
        unit=cohort.layout.tasks[outcome.columns[0]].unit,
    )
