"""What a run reports: metrics by side and task, and counts of what it was given."""

from __future__ import annotations

from collections.abc import Sequence

from hcat_core.cohort import Cohort, Targets
from hcat_core.data.assembly import ReadReport
from hcat_core.data.splits import SPLITS, Split
from hcat_core.interfaces import Prediction
from hcat_core.metrics.discrimination import auc_interval, binary_metrics
from hcat_core.metrics.outcome_metrics import c_index_interval, calibration, time_metrics
from hcat_core.metrics.survival import causes, known_weights
from hcat_core.recipe.recipe import Recipe


def score(
    cohort: Cohort, split: Split, predicted: Prediction, thresholds: Sequence[float], recipe: Recipe
) -> dict[str, dict[str, object]]:
    """Metrics by side and task; test patients are scored once, and nothing is chosen by them.

    Args:
        cohort: everyone.
        split: who is on which side.
        predicted: for everyone.
        thresholds: by task, chosen on patients held out.
        recipe: bootstrap resamples and seed.
    """
    assert cohort.targets is not None
    train = cohort.targets[split.train]
    resamples, seed = recipe.evaluation.bootstrap, recipe.seed
    result: dict[str, dict[str, object]] = {}
    for name in SPLITS:
        rows = getattr(split, name)
        side = predicted[rows.numpy()]
        result[name] = dict(score_tasks(cohort[rows], side, thresholds, train, resamples, seed))
    return result


def score_tasks(
    cohort: Cohort,
    predicted: Prediction,
    thresholds: Sequence[float],
    train: Targets,
    resamples: int,
    seed: int,
) -> dict[str, dict[str, object]]:
    """By task: discrimination, calibration, decisions, and where times are known those over time.

    Args:
        cohort: N patients with targets.
        predicted: for them.
        thresholds: by task.
        train: outcomes of training patients, for the distribution of censoring.
        resamples: of patients, for the intervals.
        seed: of the resamples.
    """
    assert cohort.targets is not None
    result: dict[str, dict[str, object]] = {}
    for column, task in enumerate(cohort.layout.tasks):
        p, curve = predicted.probability[:, column], predicted.curves[:, column]
        y = cohort.targets.labels[:, column].numpy()
        weights = known_weights(cohort.targets, column, task.horizon_days, train)
        result[task.name] = {
            **binary_metrics(p, y, thresholds[column], weights),
            "auc_95": auc_interval(p, y, resamples=resamples, seed=seed),
            **calibration(p, y, weights),
            **time_metrics(task, column, train, cohort.targets, curve),
            "c_index_95": c_index_interval(
                task, column, train, cohort.targets, p, resamples=resamples, seed=seed
            ),
        }
    return result


def label_counts(cohort: Cohort) -> dict[str, dict[str, int]]:
    """Events, event-free and unknown patients by task."""
    if cohort.targets is None:
        return {}
    return {
        task: {
            "event": int((cohort.targets.labels[:, column] == 1).sum()),
            "event_free": int((cohort.targets.labels[:, column] == 0).sum()),
            "unknown": int((cohort.targets.labels[:, column] == -1).sum()),
        }
        for column, task in enumerate(cohort.layout.task_names)
    }


def competing_counts(cohort: Cohort) -> dict[str, int]:
    """By task that has a competing one: patients to whom the competing event happened first."""
    layout, counts = cohort.layout, {}
    if cohort.targets is None:
        return {}
    for column, task in enumerate(layout.tasks):
        if task.competing is not None:
            _, _, cause = causes(cohort.targets, column, layout.task_names.index(task.competing))
            counts[task.name] = int((cause == 2).sum())
    return counts


def describe_data(cohort: Cohort, report: ReadReport, split: Split) -> dict[str, object]:
    """Counts for the summary."""
    return {
        "patients": len(cohort),
        "patients_without_modality": report.patients_without_modality,
        "modalities": {
            m.name: {
                "source": m.source,
                "width": m.width,
                "patients": m.patients,
                "rows": m.rows,
                "cells_not_measured": m.cells_not_measured,
            }
            for m in report.modalities
        },
        "labels": label_counts(cohort),
        "competing_first": competing_counts(cohort),
        "split": {
            name: {
                "patients": len(getattr(split, name)),
                "labels": label_counts(cohort[getattr(split, name)]),
            }
            for name in SPLITS
        },
    }


def describe_in_words(cohort: Cohort, report: ReadReport, split: Split) -> str:
    """One line for the user before training starts."""
    complete = int(cohort.present.all(dim=1).sum())
    has = ", ".join(f"{m.name} {m.patients}" for m in report.modalities)
    sides = ", ".join(f"{len(getattr(split, name))} {name}" for name in SPLITS)
    text = f"{len(cohort)} patients, {complete} with every modality ({has}); {sides}"
    if report.patients_without_modality:
        text += f"; {report.patients_without_modality} without any modality are left out"
    return text
