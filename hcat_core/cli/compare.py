"""``hcat compare``: recipes cross-validated on the same folds, simple models beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hcat_core.cli.comparison_cohort import read_cohort
from hcat_core.cli.comparison_progress import ComparisonProgress
from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.experiment_options import (
    baselines_option,
    folds_option,
    outdir_option,
    repeats_option,
    seed_option,
    sets_option,
    strict_option,
)
from hcat_core.cli.job_options import job_options
from hcat_core.cli.recipe_options import RecipePath
from hcat_core.cli.tracking import track_option
from hcat_core.errors import TrainingError, UsageError
from hcat_core.experiments.compare_recipes.baseline_names import BASELINES

if TYPE_CHECKING:
    from hcat_core.experiments.jobs import Backend
    from hcat_core.recipe.recipe import Recipe
    from hcat_core.registry.catalog import Catalog


@click.command()
@click.argument("recipes", nargs=-1, required=True, type=RecipePath())
@folds_option("Number of folds; each patient is in the test fold once per repeat.")
@repeats_option(3, "How often the patients are divided into folds anew.")
@click.option(
    "--split",
    type=click.Choice(("joint", "per-task")),
    default="joint",
    show_default=True,
    help="joint: the same folds for all tasks; per-task: for each task, folds of the patients whose "
    "outcome of that task is known.",
)
@seed_option("Random seed of the folds.")
@baselines_option(f"Compare with simple models too: {', '.join(BASELINES)}.")
@job_options
@track_option
@sets_option("Change a key of every recipe, such as cohort.root=DIR; repeatable.")
@strict_option
@outdir_option(
    "comparison",
    "Folder for tables and results of single folds; folds that have a result there are not run again.",
)
@common_options
def compare(
    recipes: tuple[Path, ...],
    folds: int,
    repeats: int,
    split: str,
    seed: int,
    baselines: bool,
    where: Backend,
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
    catalog = open_catalog(output, recipes, sets)

    from hcat_core.experiments.compare_recipes.comparison import (
        PAGE,
        plan_comparison,
        run_comparison,
        with_baselines,
    )
    from hcat_core.experiments.compare_recipes.document import FoldPlan
    from hcat_core.experiments.compare_recipes.other_cohorts import other_cohort_warnings
    from hcat_core.registry.trackers import add_trackers

    add_trackers(catalog, trackers)
    loaded = _load(recipes, catalog, sets, output)
    warnings = other_cohort_warnings(list(loaded.values()))
    for warning in warnings:
        output.warn(warning)
    cohort = read_cohort(next(iter(loaded.values())), catalog, output, strict)
    if baselines:
        loaded = with_baselines(loaded, cohort, catalog)
    planned = plan_comparison(loaded, cohort, FoldPlan(folds, repeats, split, seed), warnings)
    with ComparisonProgress(output, len(planned.jobs), outdir) as progress:
        document = run_comparison(
            planned, catalog, outdir, backend=where, finished=progress.finished, warn=output.warn
        )
    if not quiet:
        from hcat_core.cli.comparison_tables import print_comparison
        from hcat_core.cli.score_cells import print_answer

        print_comparison(output.words, document)
        output.say(f"tables and results: {outdir}/")
        print_answer(output.words, document["verdict"]["title"], document["verdict"]["sentences"])
        output.say(f"open {outdir / PAGE}")
    output.document(document)
    return TrainingError.exit_code if any(one["errors"] for one in document["recipes"].values()) else 0


def _load(
    paths: Sequence[Path], catalog: Catalog, sets: Sequence[str], output: Output
) -> dict[str, Recipe]:
    """The recipes by name, each with the settings that it can have."""
    from hcat_core.recipe.loading import applicable_sets, read_recipe_tree
    from hcat_core.recipe.recipe import load_recipe

    loaded: dict[str, Recipe] = {}
    given: set[Path] = set()
    for path in paths:
        applicable = applicable_sets(read_recipe_tree(path), sets)
        name = path.stem if path.stem not in loaded else str(path)
        if path.resolve() in given:
            raise UsageError(f"{path} is given twice.")
        given.add(path.resolve())
        loaded[name], warnings = load_recipe(path, catalog, sets=applicable)
        for warning in warnings:
            output.warn(warning)
    return loaded
