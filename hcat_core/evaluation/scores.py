"""Scores of predictions by task: discrimination, calibration, decisions, and scores over time.

One estimand: where times are known, every score is weighted for censoring, so that it is that of all
patients, not of those whose outcome happens to be known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from hcat_core.cohort import Cohort, Targets
from hcat_core.data.splits import SPLITS, Split
from hcat_core.interfaces import Prediction
from hcat_core.layout import Task
from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.censoring import known_weights
from hcat_core.metrics.discrimination import BinaryScores, binary_metrics
from hcat_core.metrics.intervals import Resampling, auc_interval, average_precision_interval
from hcat_core.metrics.resampling import group_numbers, rarer_outcome
from hcat_core.metrics.time_to_event import c_index_interval, time_metrics


@dataclass(frozen=True)
class ScoringSettings:
    """What scoring needs beside patients and predictions.

    Attributes:
        thresholds: T probabilities from which the event is predicted, chosen on other patients.
        train: outcomes of training patients, for the distribution of censoring.
        resamples: of patients, or of groups as wholes, for intervals; 0 for none.
        seed: of the resamples.
    """

    thresholds: Sequence[float]
    train: Targets
    resamples: int
    seed: int

    def resampling(self, cohort: Cohort) -> Resampling:
        """How intervals of these patients are computed."""
        return Resampling(self.resamples, self.seed, group_numbers(cohort.groups))


@dataclass(frozen=True)
class TaskScores(BinaryScores):
    """All scores of one task for one group of patients; None where a score is not defined.

    The fields are those of ``BinaryScores``, ``Calibration`` and ``TimeScores``, and:

    Attributes:
        auc_95: 95 % interval of ``auc``.
        average_precision_95: bootstrap 95 % interval of ``average_precision``.
        c_index_95: bootstrap 95 % interval of ``c_index``.
        mean_predicted: mean predicted probability of the patients with a known outcome, weighted.
        observed: their share of events, weighted likewise: the estimate of Kaplan and Meier of the event by
            the horizon, with competing events that of Aalen and Johansen.
        rarer_outcome: number of patients, or groups, with the rarer outcome.
        unweighted: the same of the patients with a known outcome, each counted once; None where no times
            are known, and the scores are these.
    """

    auc_95: tuple[float, float] | None
    average_precision_95: tuple[float, float] | None
    calibration_slope: float | None
    calibration_slope_95: tuple[float, float] | None
    calibration_intercept: float | None
    c_index: float | None
    brier_ipcw: float | None
    integrated_brier: float | None
    c_index_95: tuple[float, float] | None
    mean_predicted: float | None
    observed: float | None
    rarer_outcome: int
    unweighted: BinaryScores | None

    def as_json(self) -> dict[str, object]:
        """The scores by name, for a JSON document."""
        return {**vars(self), "unweighted": None if self.unweighted is None else asdict(self.unweighted)}


def tasks_as_json(scores: Mapping[str, TaskScores]) -> dict[str, dict[str, object]]:
    """Scores by task, for a JSON document."""
    return {task: one.as_json() for task, one in scores.items()}


def score_tasks(cohort: Cohort, predicted: Prediction, settings: ScoringSettings) -> dict[str, TaskScores]:
    """Score a group of patients by task; those of events, with times or without.

    Args:
        cohort: N patients with targets.
        predicted: their predictions.
        settings: thresholds, outcomes of training patients, resamples.
    """
    return {
        cohort.layout.tasks[column].name: score_column(cohort, predicted, settings, column)
        for column in cohort.layout.event_columns
    }


def score_split(
    cohort: Cohort, split: Split, predicted: Prediction, settings: ScoringSettings
) -> dict[str, dict[str, TaskScores]]:
    """Score the training, validation and test patients of a cohort, by side and task."""
    result = {}
    for side, rows in zip(SPLITS, (split.train, split.validation, split.test), strict=True):
        result[side] = score_tasks(cohort[rows], predicted[rows.numpy()], settings)
    return result


def score_column(
    cohort: Cohort, predicted: Prediction, settings: ScoringSettings, column: int
) -> TaskScores:
    """Score one event, or one class against all others.

    Args:
        cohort: N patients with targets.
        predicted: their predictions.
        settings: thresholds, outcomes of training patients, resamples.
        column: of the task.
    """
    assert cohort.targets is not None
    task: Task = cohort.layout.tasks[column]
    train, targets = settings.train, cohort.targets
    resampling, threshold = settings.resampling(cohort), settings.thresholds[column]
    p, y = predicted.probability[:, column], targets.labels[:, column].numpy()
    weights = known_weights(targets, column, task.horizon_days, train)
    known = y >= 0
    plain = binary_metrics(p, y, threshold)
    weighted = bool((weights[known] != 1).any())
    return TaskScores(
        **vars(binary_metrics(p, y, threshold, weights)),
        auc_95=auc_interval(p, y, weights, resampling),
        average_precision_95=average_precision_interval(p, y, weights, resampling),
        **vars(calibration(p, y, weights, resampling.groups)),
        **vars(time_metrics(task, column, train, targets, predicted.curves[:, column])),
        c_index_95=c_index_interval(task, column, train, targets, p, resampling),
        mean_predicted=float(np.average(p[known], weights=weights[known])) if known.any() else None,
        observed=float(np.average(y[known], weights=weights[known])) if known.any() else None,
        rarer_outcome=rarer_outcome(y, resampling.groups),
        unweighted=plain if weighted else None,
    )
