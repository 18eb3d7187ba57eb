"""A whole comparison of recipes on one cohort: its folds, its jobs, its tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcat_core.cohort import Cohort
from hcat_core.data.folds import joint_folds, per_task_folds
from hcat_core.data.leakage import refuse_leaks
from hcat_core.evaluation.baselines import baseline_recipes
from hcat_core.experiments.compare_recipes.baseline_names import BASELINES
from hcat_core.experiments.compare_recipes.document import (
    Findings,
    FoldPlan,
    comparison_csv,
    comparison_document,
    find_differences,
)
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.experiments.compare_recipes.run import RecipeOnFold, fold_job, run_job
from hcat_core.experiments.jobs import Backend, Experiment, Job, run_jobs
from hcat_core.experiments.notifier import ComparisonNotifier
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.report.formatting import today
from hcat_core.report.page_facts import PageFacts, cohort_name
from hcat_core.storage.checkpoint import write_text
from hcat_core.storage.folder_lock import folder_lock
from hcat_core.storage.safe_path import safe_path

PAGE = "compare.html"

Finished = Callable[[FoldResult, int, int], None]


@dataclass(frozen=True)
class PlannedComparison:
    """What is compared.

    Attributes:
        cohort: with outcomes.
        names: of the recipes, in the order of the tables.
        folds: how patients are divided.
        jobs: each recipe on each fold.
        warnings: of other cohorts in the recipes, for the top of the page.
    """

    cohort: Cohort
    names: tuple[str, ...]
    folds: FoldPlan
    jobs: Sequence[Job[RecipeOnFold]]
    warnings: Sequence[str] = ()


def with_baselines(recipes: Mapping[str, Recipe], cohort: Cohort, catalog: Catalog) -> dict[str, Recipe]:
    """The recipes, and beside them the simple models that fit the cohort and are none of them."""
    every = dict(recipes)
    first = next(iter(recipes.values()))
    present = [recipe.estimator.get("use") for recipe in recipes.values()]
    for name, recipe in baseline_recipes(BASELINES, present, first, catalog, cohort).items():
        every[f"{name} (baseline)" if name in every else name] = recipe
    return every


def baselines_beside(name: str, recipe: Recipe, cohort: Cohort, catalog: Catalog) -> dict[str, Recipe]:
    """The simple models that ``with_baselines`` puts beside a recipe of this name."""
    every = with_baselines({name: recipe}, cohort, catalog)
    return {one: baseline for one, baseline in every.items() if one != name}


def plan_comparison(
    recipes: Mapping[str, Recipe], cohort: Cohort, plan: FoldPlan, warnings: Sequence[str] = ()
) -> PlannedComparison:
    """Divide the patients, the same for all recipes.

    Args:
        recipes: by name; differences are to the first one, which says which leaks are allowed.
        cohort: with outcomes.
        plan: number of folds and repeats.
        warnings: of other cohorts in the recipes.

    Raises:
        DataError: for a feature that gives an outcome away in any fold, and too few patients.
    """
    first = next(iter(recipes.values()))
    make = joint_folds if plan.split == "joint" else per_task_folds
    folds = make(cohort, plan.folds, plan.repeats, plan.seed)
    for fold in folds:  # of each, since a feature can give an outcome away among some patients alone
        refuse_leaks(cohort, fold.rest, first.cohort.targets, first.cohort.allow)
    data = cohort.fingerprint()
    jobs = [fold_job(name, recipe, fold, data) for fold in folds for name, recipe in recipes.items()]
    return PlannedComparison(cohort, tuple(recipes), plan, jobs, warnings)


def run_comparison(
    planned: PlannedComparison,
    catalog: Catalog,
    folder: Path,
    *,
    backend: Backend,
    finished: Finished,
    warn: Callable[[str], None],
) -> dict[str, Any]:
    """Do all jobs, and write ``comparison.json``, ``comparison.csv`` and a page; returns the first of them.

    Args:
        planned: what to compare.
        catalog: of components; its plugins are told of the comparison.
        folder: of tables and results. Jobs whose result is there are not run again.
        backend: where jobs run.
        finished: called with each result, how many are done and how many there are.
        warn: shows a sentence.

    Raises:
        UsageError: for a folder that another comparison uses.
        TrainingError: when a process is killed.
    """
    names, cohort = planned.names, planned.cohort
    with folder_lock(folder):
        notifier = ComparisonNotifier(catalog.plugins, folder, warn)
        notifier.started(names, len(planned.jobs))
        results = run_jobs(
            planned.jobs,
            Experiment(run_job, FoldResult.from_json, (cohort, catalog.allowed)),
            safe_path(folder, "folds"),
            backend=backend,
            finished=notifier.each(finished),
        )
        found = find_differences(results, names, cohort, planned.folds)
        document = comparison_document(found, results, names, cohort, planned.folds)
        document["warnings"] = list(planned.warnings)
        notifier.finished(document)
        write_text(folder / "comparison.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
        write_text(folder / "comparison.csv", comparison_csv(results, names, cohort))
        write_text(folder / PAGE, _page(planned, document, results, found))
    return document


def _page(
    planned: PlannedComparison, document: dict[str, Any], results: Sequence[FoldResult], found: Findings
) -> str:
    """The page of the comparison, as HTML."""
    from hcat_core.experiments.compare_recipes.page import comparison_page  # imports matplotlib

    cohort, recipe = planned.cohort, planned.jobs[0].task.recipe.as_dict()
    facts = PageFacts(cohort_name(recipe), len(cohort), cohort.layout, "", today())
    return comparison_page(document, results, found, facts, planned.warnings)
