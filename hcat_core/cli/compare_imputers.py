"""``hcat compare-imputers``: imputers compared on the same hidden blocks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.experiment_options import outdir_option, sets_option
from hcat_core.cli.job_options import job_options
from hcat_core.cli.recipe_options import RecipePath
from hcat_core.cli.score_cells import print_answer
from hcat_core.cli.tables import print_table
from hcat_core.cli.tracking import track_option
from hcat_core.errors import TrainingError, UsageError
from hcat_core.storage.safe_path import safe_path
from hcat_core.synth.spec import PRESETS
from hcat_core.text.numbers import percent

if TYPE_CHECKING:
    from hcat_core.experiments.compare_imputers.table import Estimate, Row
    from hcat_core.experiments.jobs import Backend
    from hcat_core.registry.catalog import Catalog
    from hcat_core.synth.spec import Mechanism

PAGE = "compare-imputers.html"


@click.command("compare-imputers")
@click.argument("recipe", required=False, type=RecipePath())
@click.option(
    "--imputer",
    "imputers",
    multiple=True,
    metavar="NAME",
    help="An imputer of the catalog; NAME(FIRST), such as iterative(vae), starts from another one. "
    "Repeatable; all imputers when not given.",
)
@click.option(
    "--mechanism",
    "mechanisms",
    multiple=True,
    type=click.Choice(("mcar", "mar", "mnar")),
    default=("mcar", "mar", "mnar"),
    show_default=True,
    help="Why blocks are hidden: mcar: by chance; mar: depending on observed values; mnar: depending on "
    "the hidden values. Repeatable.",
)
@click.option(
    "--missing-rate",
    "missing_rates",
    multiple=True,
    type=click.FloatRange(0.01, 0.9),
    default=(0.3,),
    show_default=True,
    help="Share of blocks (one modality of one patient) to hide; repeatable.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="How often everything is repeated with another random seed.",
)
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default="clusters",
    show_default=True,
    help="Synthetic cohort, where no RECIPE is given (see hcat synth --help).",
)
@click.option(
    "--patients",
    type=click.IntRange(50),
    default=600,
    show_default=True,
    help="Training patients of a synthetic cohort.",
)
@click.option(
    "--width",
    type=click.IntRange(2),
    default=128,
    show_default=True,
    help="Features of each modality of a synthetic cohort.",
)
@job_options
@track_option
@sets_option("Change a key of RECIPE; repeatable.")
@outdir_option(
    "imputer-comparison",
    "Folder for tables, figures and the result of each job; jobs that have a result there are not run "
    "again.",
)
@common_options
def compare_imputers(
    recipe: Path | None,
    imputers: tuple[str, ...],
    mechanisms: tuple[Mechanism, ...],
    missing_rates: tuple[float, ...],
    seeds: int,
    preset: str,
    patients: int,
    width: int,
    where: Backend,
    sets: tuple[str, ...],
    outdir: Path,
    trackers: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare imputers on blocks of data that were hidden, so that the true values are known.

    Without RECIPE: on synthetic cohorts, where the best possible imputation is known too. With RECIPE: on
    the recipe's cohort. Each imputer is fitted on training patients, calibrated on validation patients,
    and scored on the hidden blocks of other patients.
    """
    output = Output.make(as_json, quiet)
    if sets and recipe is None:
        raise UsageError("--set changes a recipe: give a RECIPE.")
    catalog = open_catalog(output, [] if recipe is None else [recipe], sets)

    from hcat_core.cli.comparison_progress import ComparisonProgress
    from hcat_core.experiments.compare_imputers.figures import draw_figures
    from hcat_core.experiments.compare_imputers.page import imputer_page
    from hcat_core.experiments.compare_imputers.results import ImputerResult
    from hcat_core.experiments.compare_imputers.run import run_job
    from hcat_core.experiments.compare_imputers.settings import Design, imputer_tables, plan_jobs
    from hcat_core.experiments.compare_imputers.table import as_csv, summarise
    from hcat_core.experiments.compare_imputers.table import as_json as rows_as_json
    from hcat_core.experiments.compare_imputers.verdict import imputer_verdict
    from hcat_core.experiments.jobs import Experiment, run_jobs
    from hcat_core.experiments.notifier import ComparisonNotifier
    from hcat_core.imputation.conformal import ASSUMPTION
    from hcat_core.registry.trackers import add_trackers
    from hcat_core.report.formatting import today
    from hcat_core.storage.checkpoint import write_text
    from hcat_core.storage.folder_lock import folder_lock

    add_trackers(catalog, trackers)
    tables = imputer_tables(catalog, imputers)
    if not imputers and "iterative" in tables and "vae" in tables:
        tables |= imputer_tables(catalog, ["iterative(vae)"])
    design = Design(mechanisms, missing_rates, seeds, preset, patients, width)
    text, name = "", f"synthetic ({preset}, {patients} training patients)"
    if recipe is not None:
        text, fingerprint, name = _read(recipe, catalog, sets, output)
        copy = outdir / "recipe.toml"  # what the jobs read, wherever they run
        design = replace(design, recipe=str(copy.resolve()), data=fingerprint)
    planned = plan_jobs(tables, design)
    with folder_lock(outdir):
        if recipe is not None:
            write_text(copy, text)
        notifier = ComparisonNotifier(catalog.plugins, outdir, output.warn)
        notifier.started(list(tables), len(planned))
        with ComparisonProgress(output, len(planned), outdir) as progress:
            results = run_jobs(
                planned,
                Experiment(run_job, ImputerResult.from_json, (catalog.allowed,)),
                safe_path(outdir, "jobs"),
                backend=where,
                finished=notifier.each(progress.finished),
            )
        rows = summarise(results)
        records = [result.as_json() for result in results]
        verdict = imputer_verdict(results)
        document = {
            "verdict": verdict.as_json(),
            "rows": rows_as_json(rows),
            "records": records,
            "assumption": ASSUMPTION,
        }
        notifier.finished(document)
        write_text(outdir / "comparison.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
        write_text(outdir / "comparison.csv", as_csv(rows))
        draw_figures(rows, outdir)
        write_text(outdir / PAGE, imputer_page(results, rows, verdict, name, today()))
    if not quiet and not as_json:
        _print(output, rows)
        output.say(f"90 % and 50 %: {ASSUMPTION}.")
        output.say(f"tables, results and figures: {outdir}/")
        print_answer(output.words, verdict.title, verdict.sentences)
        output.say(f"open {outdir / PAGE}")
    output.document(document)
    return TrainingError.exit_code if all(row.seeds == 0 for row in rows) else 0


def _read(recipe: Path, catalog: Catalog, sets: Sequence[str], output: Output) -> tuple[str, str, str]:
    """The recipe with its settings as TOML, and fingerprint and name of its cohort."""
    from hcat_core.recipe.recipe import load_recipe
    from hcat_core.report.page_facts import cohort_name
    from hcat_core.runs.recipe_cohort import read_recipe_cohort
    from hcat_core.text.counted import counted

    loaded, warnings = load_recipe(recipe, catalog, sets=sets)
    cohort, report = read_recipe_cohort(loaded, catalog, output.say)
    for warning in (*warnings, *report.findings):
        output.warn(warning)
    name = f"{cohort_name(loaded.as_dict())}, {counted(len(cohort), 'patient')}"
    return loaded.to_toml(), cohort.fingerprint(), name


def _print(output: Output, rows: list[Row]) -> None:
    from rich.table import Table

    for mechanism, rate in dict.fromkeys((row.mechanism, row.missing_rate) for row in rows):
        table = Table(
            title=f"{mechanism.upper()}, {percent(rate)} of blocks missing",
            title_justify="left",
            title_style="bold",
            box=None,
            pad_edge=False,
        )
        headings = ("imputer", "R2", "limit", "CRPS", "50 %", "90 %", "fit s", "AUC", "over none")
        for heading in headings:
            table.add_column(heading, no_wrap=True)
        for row in rows:
            if (row.mechanism, row.missing_rate) != (mechanism, rate):
                continue
            v = row.values
            table.add_row(
                row.name,
                _shown(v["r2"]),
                _shown(v["share_of_limit"]),
                _shown(v["crps"]),
                *(
                    "-" if one is None else percent(one.mean)
                    for one in (v["coverage_50"], v["coverage_90"])
                ),
                _shown(v["fit_seconds"], digits=1),
                _shown(v["auc"]),
                _shown(v["auc_over_none"], spread=True, sign=True),
            )
        print_table(output.words, table)
        for row in rows:
            if (row.mechanism, row.missing_rate) == (mechanism, rate):
                for error in row.errors:
                    output.warn(f"{row.name}: {error}")


def _shown(estimate: Estimate | None, *, digits: int = 3, spread: bool = False, sign: bool = False) -> str:
    if estimate is None:
        return "-"
    from hcat_core.report.formatting import number, signed

    text = signed(estimate.mean, digits) if sign else number(estimate.mean, digits)
    if spread and estimate.high == estimate.high:
        text += f" ±{(estimate.high - estimate.low) / 2:.{digits}f}"
    return text
