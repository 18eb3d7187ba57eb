"""``compare``: methods cross-validated on the same folds of a cohort."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from hcat_core.api.catalogs import open_catalog
from hcat_core.api.cohort import Cohort
from hcat_core.api.cross_validation import further_warnings, result_folder
from hcat_core.api.default_method import method_for
from hcat_core.api.findings import warn_of
from hcat_core.api.html import facts_as_html, paragraph, table_as_html
from hcat_core.api.recipes import Method, name_of, plugins_of, recipe_for
from hcat_core.errors import UsageError
from hcat_core.experiments.compare_recipes.comparison import plan_comparison, run_comparison, with_baselines
from hcat_core.experiments.compare_recipes.document import FoldPlan
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.experiments.jobs import Backend
from hcat_core.recipe.recipe import Recipe
from hcat_core.text.counted import counted

SHOWN = ("auc", "auc_sd", "brier", "calibration_slope", "r2", "r2_sd", "mae")


@dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """Scores of methods on the same folds.

    Attributes:
        document: what ``hcat compare --json`` prints.
    """

    document: dict[str, Any]

    @property
    def table(self) -> pd.DataFrame:
        """One row for each method and outcome: the mean of every metric over folds, and ``METRIC_sd``."""
        rows = {}
        for name, scores in self.document["recipes"].items():
            for task, metrics in scores.items():
                if task != "errors":
                    rows[name, task] = _row(metrics)
            for outcome, found in self._numbers.items():
                if found["recipes"][name] is not None:
                    rows[name, outcome] = _row(found["recipes"][name])
        index = pd.MultiIndex.from_tuples(list(rows), names=["recipe", "task"]) if rows else None
        return pd.DataFrame(list(rows.values()), index=index)

    @property
    def differences(self) -> pd.DataFrame:
        """Differences of the AUC to the first method, with interval, p value and verdict.

        Those of classes are of their macro AUC, those of numbers of R2.
        """
        of_numbers = [one for found in self._numbers.values() for one in found["differences"]]
        return pd.DataFrame([*self.document["differences"], *of_numbers])

    @property
    def _numbers(self) -> dict[str, Any]:
        """Scores and differences by outcome that is a number."""
        return dict(self.document.get("numbers", {}))

    @property
    def best(self) -> str | None:
        """The method with the highest mean AUC; None where patients are too few to choose.

        Where all outcomes are numbers it is the one with the highest mean R2.
        """
        selection = self.document["selection"]
        return None if selection is None else str(selection["winner"])

    @property
    def verdict(self) -> str:
        """Which method is better and by how much, or that no difference was found, in sentences."""
        found = self.document["verdict"]
        return " ".join((found["title"], *found["sentences"]))

    @property
    def errors(self) -> dict[str, list[str]]:
        """Why methods failed on a fold, by method."""
        return {n: one["errors"] for n, one in self.document["recipes"].items() if one["errors"]}

    @property
    def findings(self) -> tuple[str, ...]:
        """What to know when reading the table."""
        return tuple(self.document["notes"])

    def __repr__(self) -> str:
        table = self.table
        shown = table[[name for name in SHOWN if name in table]] if len(table) else table
        return "\n".join([shown.round(3).to_string(), self.verdict, *self.findings])

    def _repr_html_(self) -> str:
        table = self.table
        columns = [name for name in SHOWN if name in table]
        rows = [
            [*key, *(None if pd.isna(row[name]) else float(row[name]) for name in columns)]
            for key, row in zip(table.index, table.to_dict("records"), strict=True)
        ]
        failed = [f"{name}: {'; '.join(errors)}" for name, errors in self.errors.items()]
        plan = self.document
        return facts_as_html(
            f"{counted(plan['patients'], 'patient')}, {plan['folds']} folds, "
            f"{counted(plan['repeats'], 'time')}",
            paragraph(self.verdict),
            table_as_html(["recipe", "task", *columns], rows),
            findings=[*failed, *self.findings],
        )


def compare(
    cohort: Cohort,
    recipes: Sequence[Method] | Mapping[str, Method] | None = None,
    *,
    folds: int = 5,
    repeats: int = 3,
    split: Literal["joint", "per-task"] = "joint",
    seed: int = 0,
    baselines: bool = True,
    strict: bool = False,
    outdir: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    jobs: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare methods by cross-validation, all on the same folds of one cohort.

    Args:
        cohort: with outcomes.
        recipes: methods as of ``fit``, or a dictionary of them by name; differences are to the first.
            By default the method that ``fit`` takes.
        folds: each patient is in the test fold once per repeat.
        repeats: how often the patients are divided anew.
        split: ``joint``, the same folds for all tasks; ``per-task``, for each task, folds of the patients
            whose outcome of that task is known.
        seed: of the folds.
        baselines: compare with simple models, too.
        strict: stop at findings about data quality.
        outdir: folder of tables and results; methods that have a result of a fold there are not fitted
            again. By default a temporary one, which is removed.
        set: changes of keys of every recipe; those of a network's tables change recipes of networks alone.
        jobs: processes that work at once.
        progress: shows one line for each result, such as ``print``.

    Raises:
        RecipeError: for a recipe that does not fit the cohort.
        DataError: for features that give an outcome away, and too few patients.
        TrainingError: when a process is killed.
    """
    if folds < 2 or repeats < 1 or jobs < 1:
        raise UsageError(f"folds: from 2 on, repeats and jobs: from 1 on; got {folds}, {repeats}, {jobs}.")
    if split not in ("joint", "per-task"):
        raise UsageError(f"split: joint or per-task, got {split!r}.")
    methods = {} if recipes is None else _named(recipes)
    catalog = open_catalog(plugins_of(method, set) for method in methods.values())
    if recipes is None:
        methods = dict([method_for(cohort, catalog)])
    loaded = {
        name: recipe_for(cohort, method, set, catalog, of_several=True) for name, method in methods.items()
    }
    found = further_warnings(cohort, strict)
    if baselines:
        loaded = with_baselines(loaded, cohort.data, catalog)
    planned = plan_comparison(loaded, cohort.data, FoldPlan(folds, repeats, split, seed))

    def finished(result: FoldResult, done: int, jobs: int) -> None:
        if progress is not None:
            progress(f"{done} of {jobs}: {result.label}  {result.error or result.score}")

    with result_folder(outdir) as folder:
        document = run_comparison(
            planned, catalog, folder, backend=Backend(jobs), finished=finished, warn=found.append
        )
    comparison = Comparison(document)
    errors = [f"{name} failed: {'; '.join(reasons)}" for name, reasons in comparison.errors.items()]
    warn_of([*found, *errors])
    return comparison


def _named(recipes: Sequence[Method] | Mapping[str, Method]) -> dict[str, Method]:
    """The methods by name."""
    if isinstance(recipes, str | Path | Recipe):
        recipes = [recipes]
    if isinstance(recipes, Mapping):
        named = dict(recipes)
    else:
        names = [name_of(method, place) for place, method in enumerate(recipes)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(
                f"recipes: two are called {', '.join(twice)}. Name them: {{NAME: RECIPE, ...}}."
            )
        named = dict(zip(names, recipes, strict=True))
    if not named:
        raise UsageError("recipes: at least one is needed.")
    return named


def _row(metrics: Mapping[str, Any]) -> dict[str, float]:
    row: dict[str, float] = {}
    for metric, spread in metrics.items():
        if isinstance(spread, Mapping) and "mean" in spread:
            row |= {metric: spread["mean"], f"{metric}_sd": spread["sd"]}
    return row
