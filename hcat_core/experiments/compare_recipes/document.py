"""The JSON document of a comparison of recipes: scores by recipe and task, differences, the best one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.experiments.compare_recipes import table
from hcat_core.experiments.compare_recipes.differences import (
    Difference,
    auc_with_two_hidden,
    paired_differences,
)
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.experiments.compare_recipes.selection import Selection, select_best
from hcat_core.experiments.compare_recipes.verdict import (
    ComparisonVerdict,
    Measured,
    as_json,
    comparison_verdict,
)
from hcat_core.metrics.fewest import FEWEST_OF_EACH
from hcat_core.metrics.resampling import group_numbers
from hcat_core.metrics.survival import timed


@dataclass(frozen=True)
class FoldPlan:
    """How patients were divided: ``split`` is ``joint`` or ``per-task``, ``seed`` that of the folds."""

    folds: int
    repeats: int
    split: str
    seed: int


@dataclass(frozen=True)
class Findings:
    """What a comparison found.

    Attributes:
        few: tasks with fewer than ten patients of either outcome, with their number.
        differences: to the first recipe.
        selection: the best recipe, where one could be chosen.
        verdict: on the differences.
    """

    few: dict[str, int]
    differences: Sequence[Difference]
    selection: Selection | None
    verdict: ComparisonVerdict


def find_differences(
    results: Sequence[FoldResult],
    names: Sequence[str],
    cohort: Cohort,
    plan: FoldPlan,
    *,
    choose: bool = True,
) -> Findings:
    """Compare all recipes with the first of ``names``, and choose the best one unless ``choose`` is False.

    A task with few patients has no interval and no verdict, and then no recipe is chosen.
    """
    assert cohort.targets is not None
    tasks, groups = cohort.layout.task_names, group_numbers(cohort.groups)
    rarer = {
        task: table.patients_with_rarer_outcome(
            results, task, cohort.targets.labels[:, column].numpy(), groups
        )
        for column, task in enumerate(tasks)
        if any(task in result.tasks for result in results)
    }
    few = {task: patients for task, patients in rarer.items() if patients < FEWEST_OF_EACH}
    differences = paired_differences(results, names, tasks, plan.folds, tuple(few))
    selection = None if few or not choose else select_best(results, names, cohort)
    measured = Measured(len(cohort), plan.folds, plan.repeats)
    return Findings(few, differences, selection, comparison_verdict(differences, selection, measured))


def comparison_document(
    found: Findings, results: Sequence[FoldResult], names: Sequence[str], cohort: Cohort, plan: FoldPlan
) -> dict[str, Any]:
    """What ``comparison.json`` holds; differences are to the first of ``names``.

    A task with few patients of an outcome, listed in ``too_few`` with their number, has no calibration;
    ``notes`` says so.
    """
    assert cohort.targets is not None
    tasks, few, differences, selection = (
        cohort.layout.task_names, found.few, found.differences, found.selection,
    )  # fmt: skip
    return {
        "verdict": as_json(found.verdict),
        "folds": plan.folds,
        "repeats": plan.repeats,
        "split": plan.split,
        "seed": plan.seed,
        "patients": len(cohort),
        "data": cohort.fingerprint(),
        "weighted_for_censoring": [
            task for column, task in enumerate(tasks) if bool(timed(cohort.targets, column).any())
        ],
        "too_few": few,
        "recipes": {name: _recipe([r for r in results if r.name == name], cohort) for name in names},
        "differences": [{**asdict(d), "verdict": d.verdict} for d in differences],
        "selection": None if selection is None else asdict(selection),
        "notes": [*_few_notes(few), *_selection_notes(selection), *difference_notes(differences)],
    }


def _few_notes(few: dict[str, int]) -> list[str]:
    """A sentence for each task with too few patients of an outcome."""
    return [
        f"{task}: patients with the rarer outcome: {patients}. Fewer than {FEWEST_OF_EACH} are too few "
        "for an AUC, calibration, a verdict and the choice of a recipe."
        for task, patients in few.items()
    ]


def _selection_notes(selection: Selection | None) -> list[str]:
    """The sentence about the best recipe."""
    if selection is None:
        return []
    score, several = selection.score, len(selection.tasks) > 1
    low, high = score.corrected_95
    return [
        f"Best here: {selection.winner}, {'mean ' if several else ''}AUC {score.apparent:.3f}; corrected "
        f"for having been chosen among {len(selection.candidates)}: {score.corrected:.3f} "
        f"[{low:.3f}, {high:.3f}]."
    ]


def difference_notes(differences: Sequence[Difference]) -> list[str]:
    """The sentence about how many differences are tested, and what verdicts allow for."""
    tested = [d for d in differences if d.p is not None]
    recipes = len({d.name for d in tested})
    if recipes < 2:
        return []
    kinds = len({(d.task, d.what) for d in tested})
    return [
        f"{len(tested)} differences to {tested[0].other} are tested. A verdict allows for the {recipes} "
        "recipes of its block (Holm); an interval is that of one difference alone, and 1 in 20 leaves out "
        "a true zero." + (f" The {kinds} blocks are not adjusted for each other." if kinds > 1 else "")
    ]


def _recipe(results: Sequence[FoldResult], cohort: Cohort) -> dict[str, Any]:
    """One recipe's errors, and its scores by task."""
    assert cohort.targets is not None
    document: dict[str, Any] = {"errors": sorted({r.error for r in results if r.error})}
    good = [r for r in results if r.error is None]
    groups = group_numbers(cohort.groups)
    for column, task in enumerate(cohort.layout.task_names):
        scored = [r for r in good if task in r.tasks]
        if not scored:
            continue
        labels = cohort.targets.labels[:, column].numpy()
        spreads = {metric: table.spread_of(scored, task, metric) for metric in table.METRICS}
        hidden = [auc_with_two_hidden(r.tasks[task]) for r in scored]
        known = [value for value in hidden if value is not None]
        document[task] = {
            **{metric: None if s is None else _without_nan(asdict(s)) for metric, s in spreads.items()},
            "pooled_calibration": asdict(table.pooled_calibration(scored, task, labels, groups)),
            "auc_two_hidden": float(np.mean(known)) if known else None,
            "auc_fall_without": table.auc_fall_without(scored, task, cohort.layout.names),
        }
    return document


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    """None in place of NaN, which JSON does not have."""
    return {key: None if isinstance(v, float) and v != v else v for key, v in values.items()}
