"""``hcat tune``: a search for better values of a recipe's keys, nested in the folds that report it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

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
from hcat_core.errors import TrainingError

if TYPE_CHECKING:
    from hcat_core.experiments.jobs import Backend


@click.command()
@click.argument("recipe", type=RecipePath())
@click.option(
    "--trials",
    type=click.IntRange(2),
    default=20,
    show_default=True,
    help="Trials of each search; the first is the recipe as it is.",
)
@folds_option("Outer folds: each is scored once, with values that were chosen without its patients.")
@repeats_option(1, "How often the patients are divided into outer folds anew.")
@click.option(
    "--inner-folds",
    type=click.IntRange(2),
    default=3,
    show_default=True,
    help="Folds of the patients outside an outer fold, by which values are chosen.",
)
@seed_option("Random seed of folds and of draws.")
@baselines_option("Score simple models on the outer folds too, as hcat compare does.")
@job_options
@track_option
@sets_option("Change a key of the recipe; repeatable.")
@strict_option
@outdir_option(
    "tuning",
    "Folder for the best recipe, tables, the page and results; jobs that have a result there are not "
    "run again.",
)
@common_options
def tune(
    recipe: Path,
    trials: int,
    folds: int,
    repeats: int,
    inner_folds: int,
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
    """Search better values for keys of RECIPE, and report what the choice is worth on other patients.

    The recipe's table [tune.space] says which keys, and which values (hcat show tune). Each outer fold is
    scored with values that were chosen without its patients; a last search on all patients chooses those of
    best.toml. An interrupted search goes on when the same command is run again.
    """
    output = Output.make(as_json, quiet)
    catalog = open_catalog(output, [recipe], sets)

    from hcat_core.cli.comparison_cohort import read_cohort
    from hcat_core.cli.search_progress import SearchProgress
    from hcat_core.experiments.compare_recipes.comparison import baselines_beside
    from hcat_core.experiments.tune.nested_folds import SearchPlan
    from hcat_core.experiments.tune.sampling import require_optuna
    from hcat_core.experiments.tune.search import Progress, plan_search
    from hcat_core.experiments.tune.space_check import load_searched_recipe
    from hcat_core.experiments.tune.tuning import tune as run_tuning
    from hcat_core.registry.trackers import add_trackers

    require_optuna()
    add_trackers(catalog, trackers)
    loaded, space, warnings = load_searched_recipe(recipe, catalog, sets)
    for warning in warnings:
        output.warn(warning)
    cohort = read_cohort(loaded, catalog, output, strict)
    others = baselines_beside(recipe.stem, loaded, cohort, catalog) if baselines else {}
    plan = SearchPlan(trials, folds, repeats, inner_folds, seed)
    planned = plan_search(recipe.stem, loaded, space, cohort, plan, others)
    with SearchProgress(output, planned, outdir) as progress:
        found = run_tuning(
            planned,
            catalog,
            outdir,
            backend=where,
            progress=Progress(progress.finished, progress.trial),
            warn=output.warn,
        )
    if not quiet:
        from hcat_core.cli.tuning_tables import print_tuning

        print_tuning(output.words, found.result)
        output.say(f"run it: hcat run {outdir / 'best.toml'}")
        output.say(f"open {outdir / 'tune.html'}")
    output.document(found.document)
    failed = found.result.tuned.mean is None or found.result.final.best.score is None
    return TrainingError.exit_code if failed else 0
