"""A search from its plan to its files: tables, the best recipe, the page."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hcat_core.evaluation.headline import averaged
from hcat_core.experiments.compare_recipes.differences import nadeau_bengio, score_by_fold
from hcat_core.experiments.compare_recipes.document import (
    FoldPlan,
    comparison_document,
    find_differences,
)
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.experiments.jobs import Backend
from hcat_core.experiments.notifier import ComparisonNotifier
from hcat_core.experiments.tune.best_recipe import best_recipe_text
from hcat_core.experiments.tune.document import tuning_document
from hcat_core.experiments.tune.page import render
from hcat_core.experiments.tune.results import OuterScore, TuningResult, score_name, tuned_name
from hcat_core.experiments.tune.search import PlannedSearch, Progress, SearchResults, run_search
from hcat_core.experiments.tune.trial_table import as_csv
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.report.formatting import counted, today
from hcat_core.report.page_facts import PageFacts, cohort_name
from hcat_core.storage.checkpoint import write_text
from hcat_core.storage.folder_lock import folder_lock
from hcat_core.storage.safe_path import safe_path


@dataclass(frozen=True)
class Tuning:
    """A finished search.

    Attributes:
        result: everything that was found.
        recipe: with the best values of the search on all patients.
        document: the content of ``tune.json``.
    """

    result: TuningResult
    recipe: Recipe
    document: dict[str, object]


def tune(
    planned: PlannedSearch,
    catalog: Catalog,
    folder: Path,
    *,
    backend: Backend,
    progress: Progress,
    warn: Callable[[str], None],
) -> Tuning:
    """Search, and write ``tune.json``, ``trials.csv``, ``best.toml`` and ``tune.html``.

    Args:
        planned: what to search.
        catalog: of components; its plugins are told of the search as of a comparison.
        folder: of files and results. Jobs whose result is there are not run again.
        backend: where jobs run.
        progress: what is told while it runs.
        warn: shows a sentence.

    Raises:
        UsageError: for a folder that another search uses, and a space whose values do not go together.
        TrainingError: when a process is killed.
    """
    with folder_lock(folder):
        notifier = ComparisonNotifier(catalog.plugins, folder, warn)
        notifier.started([planned.name, tuned_name(planned.name), *planned.others], planned.jobs)
        told = Progress(notifier.each(progress.job), progress.trial)
        results = run_search(planned, catalog, safe_path(folder, "jobs"), backend, told)
        result = _summed_up(planned, results)
        recipe = planned.space.recipe(result.final.best.settings)
        document = tuning_document(result)
        notifier.finished(document)
        write_text(folder / "tune.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
        write_text(folder / "trials.csv", as_csv(result))
        write_text(folder / "best.toml", best_recipe_text(result, planned.recipe, recipe))
        write_text(folder / "tune.html", render(result, _page_facts(planned)))
    return Tuning(result, recipe, document)


def _page_facts(planned: PlannedSearch) -> PageFacts:
    """What stands below the page's title."""
    cohort = planned.cohort
    trials, keys = counted(planned.plan.trials, "trial"), counted(len(planned.space.dimensions), "key")
    name = cohort_name(planned.recipe.as_dict())
    return PageFacts(name, len(cohort), cohort.layout, f"{planned.name}: {trials} of {keys}", today())


def _summed_up(planned: PlannedSearch, results: SearchResults) -> TuningResult:
    """What the searches are worth on the folds that they left out."""
    plan = planned.plan
    names = (planned.name, tuned_name(planned.name), *planned.others)
    folds = FoldPlan(plan.folds, plan.repeats, "joint", plan.seed)
    differences = find_differences(results.outer, names, planned.cohort, folds, choose=False)
    *searches, final = results.searches
    return TuningResult(
        recipe=planned.name,
        plan=plan,
        score=score_name(averaged(planned.cohort.layout.outcomes)),
        space=planned.space.dimensions,
        searches=tuple(searches),
        final=final,
        outer={name: _outer_score(results.outer, name, planned) for name in names},
        comparison=comparison_document(differences, results.outer, names, planned.cohort, folds),
    )


def _outer_score(results: Sequence[FoldResult], name: str, planned: PlannedSearch) -> OuterScore:
    """The mean score of one recipe over outer folds."""
    by_fold: Mapping[tuple[int, int], float] = score_by_fold(results, name, planned.outcomes)
    if not by_fold:
        return OuterScore(None, None, None, {})
    scores = np.array(list(by_fold.values()))
    numbers = averaged(planned.cohort.layout.outcomes)[0].kind == "continuous"
    test = nadeau_bengio(scores, planned.plan.folds, (-math.inf if numbers else 0.0, 1.0))
    low, high = (None if math.isnan(end) else end for end in (test.low, test.high))
    return OuterScore(float(scores.mean()), low, high, by_fold)
