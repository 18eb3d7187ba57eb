"""``hcat evaluate RUN``: external validation of a trained run on another cohort."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.new_patients import files_from, patient_options
from hcat_core.cli.other_outcome_tables import print_others
from hcat_core.cli.recipe_options import recipe_of
from hcat_core.cli.score_cells import number, shown, why_left_out, with_interval
from hcat_core.cli.tables import print_table
from hcat_core.storage.new_folder import held_folder

if TYPE_CHECKING:
    from rich.table import Table

    from hcat_core.runs.external_validation import Evaluation


@click.command()
@patient_options
@click.option("--targets", type=click.Path(path_type=Path, dir_okay=False), help="File with the outcomes.")
@click.option(
    "--by",
    "groups",
    metavar="NAME",
    multiple=True,
    help="Score groups of patients separately: a column of the outcomes file or a feature, such as sex, "
    "age or site; repeatable.",
)
@click.option(
    "--outdir",
    type=click.Path(path_type=Path),
    help="Folder for evaluation.json and predictions.csv; new or empty.",
)
@common_options
def evaluate(
    run: Path,
    targets: Path | None,
    groups: tuple[str, ...],
    outdir: Path | None,
    as_json: bool,
    quiet: bool,
    **arguments: Any,
) -> None:
    """Score the trained model in the folder RUN on patients that it was not trained on.

    Nothing is fitted again: thresholds and recalibration stay as they were in training. Metrics are those
    of training, for all patients, by pattern of missing modalities, and by the groups that --by names.
    """
    output = Output.make(as_json, quiet)
    files = files_from(arguments, targets)
    with nullcontext() if outdir is None else held_folder(outdir) as folder:
        catalog = open_catalog(output, [recipe_of(run)])

        from hcat_core.runs.external_validation import evaluate_run
        from hcat_core.runs.trained_run import load_run

        trained = load_run(run, catalog)
        evaluation = evaluate_run(trained, catalog, files, groups)
        document = evaluation.as_json()
        for warning in evaluation.warnings:
            output.warn(warning)
        if folder is not None:
            _write(folder, document, evaluation)
    if not quiet and not as_json:
        _print(output, document)
        if outdir is not None:
            output.say(f"{outdir}/: evaluation.json, predictions.csv")
    output.document(document)


def _write(folder: Path, document: dict[str, Any], evaluation: Evaluation) -> None:
    import json

    from hcat_core.runs.predict import as_csv
    from hcat_core.storage.checkpoint import write_text

    write_text(folder / "evaluation.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    write_text(folder / "predictions.csv", as_csv(evaluation.predictions))


def _print(output: Output, document: dict[str, Any]) -> None:
    names = document["modalities"]
    output.say(f"{document['patients']} patients; nothing was fitted on them")
    table = _table("all patients", "task")
    for task, m in document["metrics"].items():
        table.add_row(task, *_cells(m), with_interval(shown(m)["c_index"], m["c_index_95"]))
    if table.row_count:
        print_table(output.words, table)
    others = document.get("other_outcomes", {})
    print_others(output.words, "all patients", ("outcome",), [((name,), m) for name, m in others.items()])
    patterns = _table("by missingness pattern", "modalities", "task")
    of_others: list[tuple[tuple[str, str], dict[str, Any]]] = []
    for pattern in document["patterns"]:
        has = " ".join(n for n, h in zip(names, pattern["present"], strict=True) if h) or "none"
        for task, m in pattern["tasks"].items():
            patterns.add_row(has, task, *_cells(m), "")
        of_others += [((has, name), m) for name, m in pattern.get("other_outcomes", {}).items()]
    if patterns.row_count:
        print_table(output.words, patterns)
    print_others(output.words, "by missingness pattern", ("modalities", "outcome"), of_others)
    for name, groups in document["groups"].items():
        table = _table(f"by {name}", name, "task")
        for group, tasks in groups.items():
            for task, m in tasks.items():
                table.add_row(group, task, *_cells(m), "")
        if table.row_count:
            print_table(output.words, table)
        found = document.get("other_groups", {}).get(name, {})
        rows = [((group, outcome), m) for group, scored in found.items() for outcome, m in scored.items()]
        print_others(output.words, f"by {name}", (name, "outcome"), rows)
    groups = [group for groups in document["groups"].values() for group in groups.values()]
    patterns_tasks = [pattern["tasks"] for pattern in document["patterns"]]
    scored = [m for tasks in (document["metrics"], *patterns_tasks, *groups) for m in tasks.values()]
    for sentence in why_left_out(scored):
        output.say(sentence)


def _table(title: str, *first: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in (
        *first,
        "events/n",
        "AUC (95 %)",
        "slope (95 %)",
        "predicted",
        "seen",
        "Brier",
        "Uno C",
    ):
        table.add_column(heading, overflow="fold")
    return table


def _cells(scores: dict[str, Any]) -> list[str]:
    m = shown(scores)
    return [
        f"{m['events']}/{m['patients']}",
        with_interval(m["auc"], m["auc_95"]),
        with_interval(m["calibration_slope"], m["calibration_slope_95"], 2),
        *(number(m[name]) for name in ("mean_predicted", "observed", "brier")),
    ]
