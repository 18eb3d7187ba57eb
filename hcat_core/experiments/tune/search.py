"""A whole search: rounds of trials in all searches at once, then the outer folds, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.data.leakage import refuse_leaks
from hcat_core.evaluation.headline import averaged
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.experiments.compare_recipes.run import RecipeOnFold, run_job
from hcat_core.experiments.jobs import Backend, Experiment, Job, run_jobs
from hcat_core.experiments.tune.nested_folds import SearchFolds, SearchPlan, nested_folds, nested_job
from hcat_core.experiments.tune.results import FinishedSearch, Trial, best_of, scored_trial, tuned_name
from hcat_core.experiments.tune.sampling import TrialSampler, require_optuna
from hcat_core.experiments.tune.space import SearchSpace, Settings
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog

JobFinished = Callable[[FoldResult, int, int], None]
TrialFinished = Callable[[str, Trial, Trial], None]
"""Called with the name of a search, a trial and the best trial so far."""


@dataclass(frozen=True)
class PlannedSearch:
    """What is searched.

    Attributes:
        name: of the recipe.
        recipe: as it is.
        space: what may be changed.
        others: recipes that are scored on the outer folds beside it, by name.
        cohort: with outcomes.
        plan: of folds and trials.
        data: fingerprint of the cohort.
        folds: of all searches.
    """

    name: str
    recipe: Recipe
    space: SearchSpace
    others: Mapping[str, Recipe]
    cohort: Cohort
    plan: SearchPlan
    data: str
    folds: tuple[SearchFolds, ...]

    @property
    def jobs(self) -> int:
        """How many trainings there are."""
        outer = (len(self.folds) - 1) * (2 + len(self.others))
        return len(self.folds) * self.plan.trials * self.plan.inner_folds + outer


@dataclass(frozen=True)
class Progress:
    """What is told while a search runs."""

    job: JobFinished
    trial: TrialFinished


@dataclass(frozen=True)
class SearchResults:
    """What a search gives before it is summed up.

    Attributes:
        searches: one for each outer fold, then that of all patients.
        outer: results of the recipe, the tuned one and others on outer folds.
    """

    searches: tuple[FinishedSearch, ...]
    outer: tuple[FoldResult, ...]


def plan_search(
    name: str,
    recipe: Recipe,
    space: SearchSpace,
    cohort: Cohort,
    plan: SearchPlan,
    others: Mapping[str, Recipe],
) -> PlannedSearch:
    """Divide the patients.

    Args:
        name: of the recipe.
        recipe: with ``tune.space``.
        space: the same, checked.
        cohort: with outcomes.
        plan: of folds and trials.
        others: recipes to score beside it, by name.

    Raises:
        UsageError: without Optuna.
        DataError: for a feature that gives an outcome away, and too few patients.
    """
    require_optuna()
    folds = nested_folds(cohort, plan)
    for search in folds:
        if search.outer is not None:
            refuse_leaks(cohort, search.outer.rest, recipe.cohort.targets, recipe.cohort.allow)
    return PlannedSearch(name, recipe, space, others, cohort, plan, cohort.fingerprint(), folds)


def run_search(
    planned: PlannedSearch, catalog: Catalog, folder: Path, backend: Backend, progress: Progress
) -> SearchResults:
    """Run all searches side by side, then score what each chose on the fold that it left out.

    Args:
        planned: what to search.
        catalog: of components.
        folder: of result files. Jobs whose result is there are not run again.
        backend: where jobs run.
        progress: what is told.

    Raises:
        UsageError: for a space in which hardly any values go together.
        TrainingError: when a process is killed.
    """
    store = _Store(planned, catalog, folder, backend, progress.job)
    searches = [_Search(planned, place) for place in range(len(planned.folds))]
    trials, at_once = planned.plan.trials, planned.recipe.tune.trials_per_round
    for first in range(0, trials, at_once):
        asked = [
            (search, number, search.ask(number))
            for search in searches
            for number in range(first, min(first + at_once, trials))
        ]
        results = iter(store.run([job for _, _, jobs in asked for job in jobs]))
        for search, number, jobs in asked:
            trial = search.tell(number, [next(results) for _ in jobs])
            progress.trial(search.folds.name, trial, search.best)
    outer = store.run([job for search in searches for job in _outer_jobs(planned, search)])
    return SearchResults(tuple(search.finished() for search in searches), tuple(outer))


def _outer_jobs(planned: PlannedSearch, search: _Search) -> Iterator[Job[RecipeOnFold]]:
    """The recipe as it is, what the search chose, and others, on the fold that the search left out."""
    if search.folds.outer is None:
        return
    chosen = search.recipes[search.best.number][1]
    for name, recipe in (
        (planned.name, planned.recipe),
        (tuned_name(planned.name), chosen),
        *planned.others.items(),
    ):
        yield nested_job(name, recipe, search.folds.outer, planned.data)


class _Store:
    """Runs jobs of a search whose results are in one folder, and counts them all."""

    def __init__(
        self,
        planned: PlannedSearch,
        catalog: Catalog,
        folder: Path,
        backend: Backend,
        finished: JobFinished,
    ) -> None:
        self.jobs = planned.jobs
        self.experiment: Experiment[RecipeOnFold, FoldResult] = Experiment(
            run_job, FoldResult.from_json, (planned.cohort, catalog.allowed)
        )
        self.folder = folder
        self.backend = backend
        self.finished = finished
        self.done = 0

    def run(self, jobs: Sequence[Job[RecipeOnFold]]) -> list[FoldResult]:
        """The results of jobs, in order."""
        before = self.done

        def finished(result: FoldResult, done: int, jobs: int) -> None:
            self.done = before + done
            self.finished(result, self.done, self.jobs)

        return run_jobs(jobs, self.experiment, self.folder, backend=self.backend, finished=finished)


class _Search:
    """One search: its folds, its sampler, and the trials so far."""

    def __init__(self, planned: PlannedSearch, place: int) -> None:
        seed = int(np.random.SeedSequence([planned.plan.seed, place]).generate_state(1)[0])
        self.folds = planned.folds[place]
        self.sampler = TrialSampler(planned.space, planned.recipe.tune, seed)
        self.recipes: dict[int, tuple[Settings, Recipe]] = {0: ({}, planned.recipe)}
        self.trials: list[Trial] = []
        self._tasks = [outcome.name for outcome in averaged(planned.cohort.layout.outcomes)]
        self._data = planned.data

    @property
    def best(self) -> Trial:
        """The best trial so far."""
        return best_of(self.trials)

    def ask(self, number: int) -> list[Job[RecipeOnFold]]:
        """The jobs of a new trial; the first one is the recipe as it is."""
        if number > 0:
            self.recipes[number] = self.sampler.ask(number)
        name, recipe = f"{self.folds.name}, trial {number}", self.recipes[number][1]
        return [nested_job(name, recipe, fold, self._data) for fold in self.folds.inner]

    def tell(self, number: int, results: Sequence[FoldResult]) -> Trial:
        """Keep the score of a trial."""
        trial = scored_trial(number, self.recipes[number][0], results, self._tasks)
        if number > 0:
            self.sampler.tell(number, trial.score)
        self.trials.append(trial)
        return trial

    def finished(self) -> FinishedSearch:
        """All trials, and what mattered, in the search on all patients."""
        outer = self.folds.outer
        place = None if outer is None else (outer.repeat, outer.number)
        importance = self.sampler.importance() if outer is None else {}
        return FinishedSearch(self.folds.name, place, tuple(self.trials), self.sampler.refused, importance)
