"""``hcat compare``: recipes cross-validated on the same folds, simple models beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hcat_core.cli.comparison_progress import ComparisonProgress
from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.job_options import chosen_backend, job_options
from hcat_core.cli.recipe_options import RecipePath
from hcat_core.cli.tracking import track_option
from hcat_core.errors import TrainingError, UsageError
from hcat_core.storage.safe_path import safe_path

if TYPE_CHECKING:
    from hcat_core.cohort import Cohort
    from hcat_core.data.folds import Fold
    from hcat_core.experiments.compare_recipes.document import FoldPlan
    from hcat_core.recipe.recipe import Recipe
    from hcat_core.registry.catalog import Catalog

BASELINES = ("logistic", "random_forest", "hist_gradient_boosting", "coxnet", "survival_forest")


@click.command()
@click.argument("recipes", nargs=-1, required=True, type=RecipePath())
@click.option(
    "--folds",
    type=click.IntRange(2),
    default=5,
    show_default=True,
    help="Number of folds; each patient is in the test fold once per repeat.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="How often the patients are divided into folds anew.",
)
@click.option(
    "--split",
    type=click.Choice(("joint", "per-task")),
    default="joint",
    show_default=True,
    help="joint: the same folds for all tasks; per-task: for each task, folds of the patients whose "
    "outcome of that task is known.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed of the folds."
)
@click.option(
    "--baselines/--no-baselines",
    default=True,
    show_default=True,
    help=f"Compare with simple models too: {', '.join(BASELINES)}.",
)
@job_options
@track_option
@click.option(
    "--set",
    "sets",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change a key of every recipe, such as cohort.root=DIR; repeatable.",
)
@click.option(
    "--strict", is_flag=True, help="Stop at findings about data quality, such as duplicated patients."
)
@click.option(
    "--outdir",
    type=click.Path(path_type=Path),
    default=Path("comparison"),
    show_default=True,
    help="Folder for tables and results of single folds; folds that have a result there are not run again.",
)
@common_options
def compare(
    recipes: tuple[Path, ...],
    folds: int,
    repeats: int,
    split: str,
    seed: int,
    baselines: bool,
    jobs: int | None,
    backend: str,
    scheduler: str | None,
    sets: tuple[str, ...],
    strict: bool,
    outdir: Path,
    trackers: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare RECIPES by cross-validation, all on the same folds of one cohort.

    The cohort is that of the first recipe, and differences are those to the first recipe. An interrupted
    comparison goes on when the same command is run again.
    """
    output = Output.make(as_json, quiet)
    where = chosen_backend(jobs, backend, scheduler)
    catalog = open_catalog(output, recipes, sets)

    from hcat_core.evaluation.baselines import baseline_recipes
    from hcat_core.experiments.compare_recipes.document import FoldPlan, comparison_document
    from hcat_core.experiments.compare_recipes.results import FoldResult
    from hcat_core.experiments.compare_recipes.run import fold_job, run_job
    from hcat_core.experiments.compare_recipes.table import as_csv
    from hcat_core.experiments.jobs import Experiment, run_jobs
    from hcat_core.experiments.notifier import ComparisonNotifier
    from hcat_core.registry.trackers import add_trackers
    from hcat_core.storage.checkpoint import write_text
    from hcat_core.storage.folder_lock import folder_lock

    add_trackers(catalog, trackers)
    loaded = _load(recipes, catalog, sets, output)
    first = next(iter(loaded.values()))
    cohort = _read_cohort(first, catalog, output, strict)
    if baselines:
        present = [recipe.estimator.get("use") for recipe in loaded.values()]
        for name, recipe in baseline_recipes(BASELINES, present, first, catalog, cohort).items():
            loaded[f"{name} (baseline)" if name in loaded else name] = recipe
    plan = FoldPlan(folds, repeats, split, seed)
    data = cohort.fingerprint()
    planned = [
        fold_job(name, recipe, fold, data)
        for fold in _make_folds(cohort, first, plan)
        for name, recipe in loaded.items()
    ]
    names = list(loaded)
    with folder_lock(outdir):
        tell = ComparisonNotifier(catalog.plugins, outdir, output.warn)
        tell.started(names, len(planned))
        with ComparisonProgress(output, len(planned), outdir) as progress:
            results = run_jobs(
                planned,
                Experiment(run_job, FoldResult.from_json, (cohort, catalog.allowed)),
                safe_path(outdir, "folds"),
                backend=where,
                finished=tell.each(progress.finished),
            )
        document = comparison_document(results, names, cohort, plan)
        tell.finished(document)
        write_text(outdir / "comparison.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
        write_text(outdir / "comparison.csv", as_csv(results, names, cohort.layout.task_names))
    if not quiet:
        from hcat_core.cli.comparison_tables import print_comparison

        print_comparison(output.words, document)
        output.say(f"tables and results: {outdir}/")
    output.document(document)
    return TrainingError.exit_code if any(result.error for result in results) else 0


def _read_cohort(recipe: Recipe, catalog: Catalog, output: Output, strict: bool) -> Cohort:
    """The recipe's cohort; findings about its quality are warnings, or errors if ``strict``.

    Too few patients are always a warning.
    """
    from hcat_core.data.data_quality import find_quality_issues, refuse_quality_issues
    from hcat_core.evaluation.sample_size import sample_size_warnings
    from hcat_core.runs.recipe_cohort import read_recipe_cohort

    cohort, report = read_recipe_cohort(recipe, catalog, output.say)
    if cohort.targets is None:
        raise UsageError(f"{recipe.source}: a comparison needs outcomes: give cohort.targets.")
    issues = find_quality_issues(cohort, report)
    if strict:
        refuse_quality_issues(issues)
    for issue in issues:
        output.warn(issue.message)
    for warning in sample_size_warnings(cohort):
        output.warn(warning)
    return cohort


def _make_folds(cohort: Cohort, recipe: Recipe, plan: FoldPlan) -> list[Fold]:
    """The folds; a feature that gives an outcome away in any of them is an error."""
    from hcat_core.data.folds import joint_folds, per_task_folds
    from hcat_core.data.leakage import refuse_leaks

    make = joint_folds if plan.split == "joint" else per_task_folds
    folds = make(cohort, plan.folds, plan.repeats, plan.seed)
    for fold in folds:
        refuse_leaks(cohort, fold.rest, recipe.cohort.targets, recipe.cohort.allow)
    return folds


def _load(
    paths: Sequence[Path], catalog: Catalog, sets: Sequence[str], output: Output
) -> dict[str, Recipe]:
    """The recipes by name.

    A setting of the tables of the neural model applies only to recipes that have one.
    """
    from hcat_core.recipe.loading import NEURAL, NEURAL_TABLES, read_recipe_tree, uses_neural
    from hcat_core.recipe.recipe import load_recipe

    loaded: dict[str, Recipe] = {}
    given: set[Path] = set()
    for path in paths:
        neural = uses_neural(read_recipe_tree(path).get("estimator", {"use": NEURAL}))
        applicable = [
            text for text in sets if neural or text.split(".")[0].split("=")[0] not in NEURAL_TABLES
        ]
        name = path.stem if path.stem not in loaded else str(path)
        if path.resolve() in given:
            raise UsageError(f"{path} is given twice.")
        given.add(path.resolve())
        loaded[name], warnings = load_recipe(path, catalog, sets=applicable)
        for warning in warnings:
            output.warn(warning)
    return loaded
