"""What a run reports: metrics by side and task, and counts of what it was given."""

from __future__ import annotations

from collections.abc import Sequence

from hcat_core.assemble import ReadReport
from hcat_core.cohort import Cohort, Layout
from hcat_core.evaluation import Predicted, auc_interval, best_threshold, binary_metrics
from hcat_core.recipe import Recipe
from hcat_core.splits import SPLITS, Split


def score(
    cohort: Cohort,
    split: Split,
    predicted: Predicted,
    recipe: Recipe,
    thresholds: Sequence[float] | None = None,
) -> dict[str, dict[str, object]]:
    """Metrics by side and task: the threshold from validation patients, test patients scored once.

    Args:
        cohort: everyone.
        split: who is on which side.
        predicted: for everyone.
        recipe: bootstrap resamples and seed.
        thresholds: by task, where they were chosen already.
    """
    assert cohort.targets is not None
    result: dict[str, dict[str, object]] = {name: {} for name in SPLITS}
    for column, task in enumerate(cohort.layout.task_names):
        p = predicted.probability[:, column]
        y = cohort.targets.labels[:, column].numpy()
        on_validation = split.validation.numpy()
        known = on_validation[y[on_validation] >= 0]
        threshold = best_threshold(p[known], y[known]) if thresholds is None else thresholds[column]
        for name in SPLITS:
            rows = getattr(split, name).numpy()
            measured: dict[str, object] = {**binary_metrics(p[rows], y[rows], threshold)}
            measured["auc_95"] = auc_interval(
                p[rows], y[rows], resamples=recipe.evaluation.bootstrap, seed=recipe.seed
            )
            result[name][task] = measured
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
        "split": {
            name: {
                "patients": len(getattr(split, name)),
                "labels": label_counts(cohort[getattr(split, name)]),
            }
            for name in SPLITS
        },
    }


def layout_as_json(layout: Layout) -> dict[str, object]:
    """The layout, for a checkpoint's header."""
    return {
        "modalities": [
            {"name": m.name, "width": m.width, "features": list(m.features)} for m in layout.modalities
        ],
        "tasks": [
            {"name": t.name, "horizon_days": t.horizon_days, "outcome": t.outcome, "competing": t.competing}
            for t in layout.tasks
        ],
        "absent": list(layout.absent),
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
