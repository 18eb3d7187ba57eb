"""``tune``: a search for better values of a method's keys, nested in the folds that report it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hcat_core.api.catalogs import open_catalog
from hcat_core.api.cohort import Cohort
from hcat_core.api.cross_validation import further_warnings, result_folder
from hcat_core.api.default_method import method_for
from hcat_core.api.findings import warn_of
from hcat_core.api.html import facts_as_html, table_as_html
from hcat_core.api.recipes import Method, name_of, plugins_of, recipe_for
from hcat_core.errors import RecipeError, UsageError
from hcat_core.experiments.compare_recipes.comparison import baselines_beside
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.experiments.jobs import Backend
from hcat_core.experiments.tune.nested_folds import SearchPlan
from hcat_core.experiments.tune.results import Trial
from hcat_core.experiments.tune.search import Progress, plan_search
from hcat_core.experiments.tune.space_check import space_of
from hcat_core.experiments.tune.tuning import tune as run_tuning
from hcat_core.recipe.recipe import Recipe
from hcat_core.recipe.search_tables import TuneTable, flatten_space
from hcat_core.recipe.validation import check_table


@dataclass(frozen=True, repr=False, eq=False)
class Tuning:
    """What a search found.

    Attributes:
        recipe: with the values that did best on all patients; ``fit`` takes it.
        document: what ``hcat tune --json`` prints.
    """

    recipe: Recipe
    document: dict[str, Any]

    @property
    def values(self) -> dict[str, Any]:
        """The values of ``recipe`` by key; none where no trial was better than the recipe as it is."""
        return dict(self.document["best"]["settings"])

    @property
    def scores(self) -> pd.DataFrame:
        """Scores on outer folds, which took no part in the choice: mean, low and high by recipe."""
        outer = self.document["outer"]
        rows = [[one["mean"], one["low"], one["high"]] for one in outer.values()]
        return pd.DataFrame(
            rows, index=pd.Index(list(outer), name="recipe"), columns=["mean", "low", "high"]
        )

    @property
    def optimistic(self) -> float | None:
        """The best trial's score on the folds by which it was chosen: not one to report."""
        score: float | None = self.document["best"]["score"]
        return score

    @property
    def trials(self) -> pd.DataFrame:
        """One row for each trial of each search: search, trial, score, and a column for each key."""
        searches = [*self.document["searches"], self.document["final"]]
        rows = [
            {"search": search["name"], "trial": one["number"], "score": one["score"], **one["settings"]}
            for search in searches
            for one in search["trials"]
        ]
        return pd.DataFrame(rows, columns=["search", "trial", "score", *self.document["keys"]])

    @property
    def findings(self) -> tuple[str, ...]:
        """What to know when reading the scores."""
        return (*self.document["notes"], *self.document["verdict"]["sentences"])

    def __repr__(self) -> str:
        return "\n".join([self.scores.round(3).to_string(), *self.findings])

    def _repr_html_(self) -> str:
        rows = [
            [name, *row] for name, row in zip(self.scores.index, self.scores.values.tolist(), strict=True)
        ]
        plan = self.document
        return facts_as_html(
            f"{plan['patients']} patients, {plan['trials']} trials, {plan['folds']} outer folds",
            table_as_html(["recipe", plan["score"], "low", "high"], rows),
            findings=self.findings,
        )


def tune(
    cohort: Cohort,
    recipe: Method | None = None,
    space: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    trials: int = 20,
    folds: int = 5,
    repeats: int = 1,
    inner_folds: int = 3,
    seed: int = 0,
    baselines: bool = True,
    strict: bool = False,
    outdir: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    jobs: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Tuning:
    """Search better values for keys of a method, and score the choice on patients that took no part in it.

    Args:
        cohort: with outcomes.
        recipe: a method as of ``fit``, or the one that ``fit`` takes.
        space: values to try by key of the recipe, such as ``{"training.lr": {"low": 1e-4, "high": 1e-2,
            "log": True}, "fusion.d_model": {"choices": [32, 64]}}``; by default that of the recipe.
        trials: of each search; the first is the recipe as it is.
        folds: outer ones, each scored once with values that were chosen without its patients.
        repeats: how often the patients are divided into outer folds anew.
        inner_folds: folds of the patients outside an outer fold, by which values are chosen.
        seed: of folds and draws.
        baselines: score simple models on the outer folds, too.
        strict: stop at findings about data quality.
        outdir: folder of tables, the page and results; jobs that have a result there are not run again. By
            default a temporary one, which is removed.
        set: changes of keys of the recipe.
        jobs: processes that work at once; the result does not depend on their number.
        progress: shows one line for each trial, such as ``print``.

    Raises:
        RecipeError: for a recipe that does not fit the cohort, and for what is wrong with the space.
        UsageError: without Optuna.
        DataError: for features that give an outcome away, and too few patients.
        TrainingError: when a process is killed.
    """
    if trials < 2 or folds < 2 or inner_folds < 2 or repeats < 1 or jobs < 1:
        raise UsageError(
            "trials, folds and inner_folds: from 2 on, repeats and jobs: from 1 on; got "
            f"{trials}, {folds}, {inner_folds}, {repeats}, {jobs}."
        )
    catalog = open_catalog([plugins_of({} if recipe is None else recipe, set)])
    name, method = method_for(cohort, catalog) if recipe is None else (name_of(recipe, 0), recipe)
    loaded = _with_space(recipe_for(cohort, method, set, catalog), space)
    plan = SearchPlan(trials, folds, repeats, inner_folds, seed)
    others = baselines_beside(name, loaded, cohort.data, catalog) if baselines else {}
    found = further_warnings(cohort, strict)
    planned = plan_search(name, loaded, space_of(loaded, catalog), cohort.data, plan, others)
    with result_folder(outdir) as folder:
        done = run_tuning(
            planned,
            catalog,
            folder,
            backend=Backend(jobs),
            progress=_shown_by(progress),
            warn=found.append,
        )
    tuning = Tuning(done.recipe, done.document)
    warn_of(found)
    return tuning


def _with_space(recipe: Recipe, space: Mapping[str, Mapping[str, Any]] | None) -> Recipe:
    """The recipe with another search space.

    Raises:
        RecipeError: for ranges with keys that ranges do not have.
    """
    if space is None:
        return recipe
    tree = {"tune": {"space": {key: dict(values) for key, values in space.items()}}}
    flatten_space(tree)
    tables, problems = check_table(TuneTable, tree["tune"], "tune", "no such key.")
    if tables is None:
        raise RecipeError(recipe.source, problems)
    return dataclasses.replace(recipe, tune=recipe.tune.model_copy(update={"space": tables.space}))


def _shown_by(progress: Callable[[str], None] | None) -> Progress:
    """Lines for trials."""

    def job(result: FoldResult, done: int, jobs: int) -> None:
        pass

    def trial(search: str, one: Trial, best: Trial) -> None:
        if progress is not None:
            score = "failed" if one.score is None else f"{one.score:.3f}"
            progress(f"{search}, trial {one.number}: {one.error or score}")

    return Progress(job, trial)
