"""``hcat compare``: whole recipes on the same folds, the baselines beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hcat_core.cli.comparison_progress import ComparisonProgress
from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.job_options import chosen_backend, job_options
from hcat_core.cli.recipe_options import RecipePath
from hcat_core.errors import TrainingError, UsageError
from hcat_core.storage.safe_path import safe_path

if TYPE_CHECKING:
    from hcat_core.cohort import Cohort
    from hcat_core.experiments.jobs import Record
    from hcat_core.recipe.recipe import Recipe
    from hcat_core.registry.catalog import Catalog

BASELINES = ("logistic", "random_forest", "hist_gradient_boosting", "coxnet")


@click.command()
@click.argument("recipes", nargs=-1, required=True, type=RecipePath())
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--split",
    type=click.Choice(("joint", "per-task")),
    default="joint",
    show_default=True,
    help="One set of folds for all tasks, or folds of each task's own labelled patients.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the folds.")
@click.option("--baselines/--no-baselines", default=True, show_default=True, help="Add simple models.")
@job_options
@click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="Change a key of every recipe.")
@click.option(
    "--strict", is_flag=True, help="Stop at findings about data quality, such as duplicated patients."
)
@click.option("--outdir", type=click.Path(path_type=Path), default=Path("comparison"), show_default=True)
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
    as_json: bool,
    quiet: bool,
) -> int:
    """Cross-validate RECIPES on the cohort of the first one, on the same folds.

    Differences are those to the first recipe. What is done is kept in --outdir and not run again.
    """
    output = Output.make(as_json, quiet)
    where = chosen_backend(jobs, backend, scheduler)
    catalog = open_catalog(output, recipes, sets)

    from hcat_core.data.data_quality import find_quality_issues, refuse_quality_issues
    from hcat_core.data.folds import joint_folds, per_task_folds
    from hcat_core.data.leakage import refuse_leaks
    from hcat_core.evaluation.baselines import baseline_recipes
    from hcat_core.experiments.compare_recipes.jobs import Job, run_job
    from hcat_core.experiments.jobs import run_jobs
    from hcat_core.runs.recipe_cohort import read_recipe_cohort
    from hcat_core.storage.folder_lock import folder_lock

    loaded = _load(recipes, catalog, sets, output)
    first = next(iter(loaded.values()))
    cohort, _ = read_recipe_cohort(first, catalog, output.say)
    if cohort.targets is None:
        raise UsageError(f"{first.source}: a comparison needs outcomes: give cohort.targets.")
    issues = find_quality_issues(cohort)
    if strict:
        refuse_quality_issues(issues)
    for issue in issues:
        output.warn(issue.message)
    if baselines:
        present = [recipe.estimator.get("use") for recipe in loaded.values()]
        for name, recipe in baseline_recipes(BASELINES, present, first, catalog, cohort).items():
            loaded[f"{name} (baseline)" if name in loaded else name] = recipe
    make = joint_folds if split == "joint" else per_task_folds
    made = make(cohort, folds, repeats, seed)
    for fold in made:
        refuse_leaks(cohort, fold.rest, first.cohort.targets, first.cohort.allow)
    data = cohort.fingerprint()
    planned = [Job(name, recipe, fold, data) for fold in made for name, recipe in loaded.items()]
    with folder_lock(outdir):
        with ComparisonProgress(output, len(planned), outdir) as progress:
            records = run_jobs(
                planned,
                run_job,
                (cohort, catalog.allowed),
                safe_path(outdir, "folds"),
                backend=where,
                finished=progress.finished,
            )
        document = _document(records, list(loaded), cohort, folds, split, repeats, seed)
        _write(outdir, document, records, list(loaded), cohort.layout.task_names)
    if not quiet:
        from hcat_core.cli.comparison_tables import print_comparison

        print_comparison(output.words, document)
        output.say(f"table and records: {outdir}/")
    output.document(document)
    return TrainingError.exit_code if any(record["error"] for record in records) else 0


def _load(
    paths: Sequence[Path], catalog: Catalog, sets: Sequence[str], output: Output
) -> dict[str, Recipe]:
    """Recipes by name; a setting of the neural tables passes by recipes that have none."""
    from hcat_core.recipe.loading import NEURAL, NEURAL_TABLES, read_recipe_tree, uses_neural
    from hcat_core.recipe.recipe import load_recipe

    loaded: dict[str, Recipe] = {}
    given: set[Path] = set()
    for path in paths:
        neural = uses_neural(read_recipe_tree(path).get("estimator", {"use": NEURAL}))
        own = [text for text in sets if neural or text.split(".")[0].split("=")[0] not in NEURAL_TABLES]
        name = path.stem if path.stem not in loaded else str(path)
        if path.resolve() in given:
            raise UsageError(f"{path} is given twice.")
        given.add(path.resolve())
        loaded[name], warnings = load_recipe(path, catalog, sets=own)
        for warning in warnings:
            output.warn(warning)
    return loaded


def _document(
    records: list[Record],
    names: list[str],
    cohort: Cohort,
    folds: int,
    split: str,
    repeats: int,
    seed: int,
) -> dict[str, Any]:
    from dataclasses import asdict

    from hcat_core.experiments.compare_recipes import table

    assert cohort.targets is not None
    tasks = cohort.layout.task_names
    results: dict[str, Any] = {}
    for name in names:
        own = [r for r in records if r["name"] == name and r["error"] is None]
        results[name] = {
            "errors": sorted({r["error"] for r in records if r["name"] == name and r["error"]})
        }
        for column, task in enumerate(tasks):
            scored = [r for r in own if task in r["tasks"]]
            if not scored:
                continue
            labels = cohort.targets.labels[:, column].numpy()
            spreads = {m: table.spread_of(scored, task, m) for m in table.METRICS}
            hidden = [v for v in (table.hidden_two(r, task) for r in scored) if v is not None]
            results[name][task] = {
                **{m: None if s is None else _plain(asdict(s)) for m, s in spreads.items()},
                "pooled_calibration": table.pooled_calibration(scored, task, labels),
                "auc_two_hidden": sum(hidden) / len(hidden) if hidden else None,
                "auc_fall_without": table.without_each(scored, task, cohort.layout.names),
            }
    differences = [
        {**_plain(asdict(d)), "verdict": d.verdict}
        for d in table.paired_differences(records, names, tasks, names[0], folds)
    ]
    return {
        "folds": folds,
        "repeats": repeats,
        "split": split,
        "seed": seed,
        "patients": len(cohort),
        "data": cohort.fingerprint(),
        "recipes": results,
        "differences": differences,
    }


def _write(
    outdir: Path, document: dict[str, Any], records: list[Record], names: list[str], tasks: Sequence[str]
) -> None:
    from hcat_core.experiments.compare_recipes.table import as_csv
    from hcat_core.storage.checkpoint import write_text

    write_text(outdir / "comparison.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    write_text(outdir / "comparison.csv", as_csv(records, names, tasks))


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {k: None if isinstance(v, float) and v != v else v for k, v in values.items()}
