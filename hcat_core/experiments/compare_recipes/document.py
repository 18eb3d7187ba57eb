"""The JSON document of a comparison of recipes: scores by recipe and task, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hcat_core.cohort import Cohort
from hcat_core.experiments.compare_recipes import table
from hcat_core.experiments.compare_recipes.results import FoldResult


@dataclass(frozen=True)
class FoldPlan:
    """How patients were divided: ``split`` is ``joint`` or ``per-task``, ``seed`` that of the folds."""

    folds: int
    repeats: int
    split: str
    seed: int


def comparison_document(
    results: Sequence[FoldResult], names: Sequence[str], cohort: Cohort, plan: FoldPlan
) -> dict[str, Any]:
    """What ``comparison.json`` holds; differences are to the first of ``names``."""
    differences = table.paired_differences(results, names, cohort.layout.task_names, names[0], plan.folds)
    return {
        "folds": plan.folds,
        "repeats": plan.repeats,
        "split": plan.split,
        "seed": plan.seed,
        "patients": len(cohort),
        "data": cohort.fingerprint(),
        "recipes": {name: _recipe([r for r in results if r.name == name], cohort) for name in names},
        "differences": [{**_without_nan(asdict(d)), "verdict": d.verdict} for d in differences],
    }


def _recipe(results: Sequence[FoldResult], cohort: Cohort) -> dict[str, Any]:
    """One recipe's errors, and its scores by task."""
    assert cohort.targets is not None
    document: dict[str, Any] = {"errors": sorted({r.error for r in results if r.error})}
    good = [r for r in results if r.error is None]
    for column, task in enumerate(cohort.layout.task_names):
        scored = [r for r in good if task in r.tasks]
        if not scored:
            continue
        labels = cohort.targets.labels[:, column].numpy()
        spreads = {metric: table.spread_of(scored, task, metric) for metric in table.METRICS}
        hidden = [table.auc_with_two_hidden(r.tasks[task]) for r in scored]
        known = [value for value in hidden if value is not None]
        document[task] = {
            **{metric: None if s is None else _without_nan(asdict(s)) for metric, s in spreads.items()},
            "pooled_calibration": asdict(table.pooled_calibration(scored, task, labels)),
            "auc_two_hidden": sum(known) / len(known) if known else None,
            "auc_fall_without": table.auc_fall_without(scored, task, cohort.layout.names),
        }
    return document


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    """None in place of NaN, which JSON does not have."""
    return {key: None if isinstance(v, float) and v != v else v for key, v in values.items()}
