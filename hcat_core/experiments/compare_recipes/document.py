"""The JSON document of a comparison of recipes: scores by recipe and task, differences, the best one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hcat_core.cohort import Cohort
from hcat_core.experiments.compare_recipes import table
from hcat_core.experiments.compare_recipes.differences import (
    FEWEST_FOLDS,
    MEAN_OF_TASKS,
    Difference,
    paired_differences,
    too_few_folds,
)
from hcat_core.experiments.compare_recipes.hidden_modalities import hidden_entry
from hcat_core.experiments.compare_recipes.other_outcomes import (
    CLASS_METRICS,
    VALUE_METRICS,
    class_entry,
    difference_as_json,
    differences_of_numbers,
    numbers_document,
    rarest_class,
)
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.experiments.compare_recipes.selection import Selection, select_best
from hcat_core.experiments.compare_recipes.verdict import (
    ComparisonVerdict,
    Measured,
    as_json,
    comparison_verdict,
)
from hcat_core.layout import Outcome
from hcat_core.metrics.fewest import FEWEST_OF_EACH
from hcat_core.metrics.resampling import group_numbers
from hcat_core.metrics.survival import timed
from hcat_core.report.formatting import listed

WITHOUT = "Without scores of every outcome on every fold, and so no candidate"


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
        few: events and classes with fewer than ten patients of an outcome, with their number.
        differences: to the first recipe; of the AUC, and of the mean R2 of several numbers where no outcome
            has an AUC.
        of_numbers: differences of R2, by number.
        numbers: the document of each outcome that is a number.
        selection: the best recipe, where one could be chosen.
        verdict: on the differences.
    """

    few: dict[str, int]
    differences: Sequence[Difference]
    of_numbers: Sequence[Difference]
    numbers: dict[str, dict[str, Any]]
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

    A task with few patients has no interval and no verdict, and then no recipe is chosen. Numbers are
    compared apart from events and classes, whose differences the verdict rests on where there are any.
    """
    tasks = tuple(outcome.name for outcome in cohort.layout.outcomes if outcome.kind != "continuous")
    few = _few(results, cohort)
    differences = paired_differences(results, names, tasks, plan.folds, tuple(few))
    found = differences_of_numbers(results, names, cohort, plan.folds)
    of_numbers = [one for one in found if one.task != MEAN_OF_TASKS]
    if not tasks:
        differences = [one for one in found if one.task == MEAN_OF_TASKS]
    numbers = numbers_document(results, names, cohort, of_numbers)
    too_few = bool(few) or (not tasks and any(one["too_few"] for one in numbers.values()))
    selection = None if too_few or not choose else select_best(results, names, cohort)
    measured = Measured(len(cohort), plan.folds, plan.repeats)
    verdict = comparison_verdict(differences, selection, measured, of_numbers)
    return Findings(few, differences, of_numbers, numbers, selection, verdict)


def comparison_document(
    found: Findings, results: Sequence[FoldResult], names: Sequence[str], cohort: Cohort, plan: FoldPlan
) -> dict[str, Any]:
    """What ``comparison.json`` holds; differences are to the first of ``names``.

    A task with few patients of an outcome, listed in ``too_few`` with their number, has no calibration;
    ``notes`` says so.
    """
    assert cohort.targets is not None
    few, differences, selection = found.few, found.differences, found.selection
    document = {
        "verdict": as_json(found.verdict),
        "folds": plan.folds,
        "repeats": plan.repeats,
        "split": plan.split,
        "seed": plan.seed,
        "patients": len(cohort),
        "data": cohort.fingerprint(),
        "weighted_for_censoring": [
            task.name
            for column, task in enumerate(cohort.layout.tasks)
            if bool(timed(cohort.targets, column).any())
        ],
        "too_few": few,
        "recipes": {name: _recipe([r for r in results if r.name == name], cohort) for name in names},
        "differences": [difference_as_json(one) for one in differences],
        "selection": None if selection is None else asdict(selection),
        "notes": [
            *_few_notes(few),
            *_selection_notes(selection, names),
            *difference_notes([*differences, *found.of_numbers]),
        ],
    }
    return document | ({"numbers": found.numbers} if found.numbers else {})


def comparison_csv(results: Sequence[FoldResult], names: Sequence[str], cohort: Cohort) -> str:
    """The text of ``comparison.csv``; metrics of classes and of numbers are there where these are."""
    outcomes = cohort.layout.outcomes
    others: list[str] = []
    if any(outcome.kind == "class" for outcome in outcomes):
        others += CLASS_METRICS
    if any(outcome.kind == "continuous" for outcome in outcomes):
        others += VALUE_METRICS
    return table.as_csv(results, names, [outcome.name for outcome in outcomes], others)


def _few(results: Sequence[FoldResult], cohort: Cohort) -> dict[str, int]:
    """Events and classes with fewer than ten scored patients of an outcome, with their number."""
    assert cohort.targets is not None
    groups, rarer = group_numbers(cohort.groups), {}
    for outcome in cohort.layout.outcomes:
        if not any(outcome.name in result.tasks for result in results):
            continue
        if outcome.kind == "class":
            rarer[outcome.name] = rarest_class(results, outcome, cohort)
        else:
            labels = cohort.targets.labels[:, outcome.columns[0]].numpy()
            rarer[outcome.name] = table.patients_with_rarer_outcome(results, outcome.name, labels, groups)
    return {name: patients for name, patients in rarer.items() if patients < FEWEST_OF_EACH}


def _few_notes(few: dict[str, int]) -> list[str]:
    """A sentence for each task with too few patients of an outcome."""
    return [
        f"{task}: patients with the rarer outcome: {patients}. Fewer than {FEWEST_OF_EACH} are too few "
        "for an AUC, calibration, a verdict and the choice of a recipe."
        for task, patients in few.items()
    ]


def _selection_notes(selection: Selection | None, names: Sequence[str]) -> list[str]:
    """The sentence about the best recipe, and about those that it was not chosen among."""
    if selection is None:
        return []
    score, several = selection.score, len(selection.tasks) > 1
    low, high = score.corrected_95
    left = [name for name in names if name not in selection.candidates]
    return [
        f"Best here: {selection.winner}, {'mean ' if several else ''}{selection.measure} "
        f"{score.apparent:.3f}; corrected "
        f"for having been chosen among {len(selection.candidates)}: {score.corrected:.3f} "
        f"[{low:.3f}, {high:.3f}]." + (f" {WITHOUT}: {listed(left)}." if left else "")
    ]


def difference_notes(differences: Sequence[Difference]) -> list[str]:
    """The sentence about how many differences are tested, and what verdicts allow for; or why none is."""
    tested = [d for d in differences if d.p is not None]
    few = [d.folds for d in differences if d.too_few_folds]
    if few and not tested:
        return [
            f"{too_few_folds(max(few)).capitalize()} whether recipes differ: a difference has an interval "
            f"and a verdict from {FEWEST_FOLDS} test folds on (--folds, --repeats)."
        ]
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
    """One recipe's errors, and its scores by outcome that has an AUC."""
    document: dict[str, Any] = {"errors": sorted({r.error for r in results if r.error})}
    good = [r for r in results if r.error is None]
    for outcome in cohort.layout.outcomes:
        scored = [r for r in good if outcome.name in r.tasks]
        if not scored:
            continue
        if outcome.kind == "class":
            document[outcome.name] = class_entry(scored, outcome, cohort)
        else:
            document[outcome.name] = _event_entry(scored, outcome, cohort)
    return document


def _event_entry(results: Sequence[FoldResult], outcome: Outcome, cohort: Cohort) -> dict[str, Any]:
    """One recipe's scores of an event."""
    assert cohort.targets is not None
    task, scores = outcome.name, [r.tasks[outcome.name] for r in results]
    labels = cohort.targets.labels[:, outcome.columns[0]].numpy()
    pooled = table.pooled_calibration(results, task, labels, group_numbers(cohort.groups))
    return {
        **{m: table.as_plain(table.spread_of_scores(scores, m)) for m in table.METRICS},
        "pooled_calibration": asdict(pooled),
        **hidden_entry(scores, "auc", cohort.layout.names),
    }
