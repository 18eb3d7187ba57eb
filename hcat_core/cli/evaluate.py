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
from hcat_core.cli.score_cells import number, print_verdicts, shown, why_left_out, with_interval
from hcat_core.cli.tables import print_grouped, print_table
from hcat_core.storage.new_folder import held_folder
from hcat_core.text.counted import counted

if TYPE_CHECKING:
    from hcat_core.runs.external_validation import Evaluation
    from hcat_core.runs.trained_run import TrainedRun

PAGE = "evaluation.html"
HEADINGS = ("events/n", "AUC (95 %)", "slope (95 %)", "predicted", "seen")


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
    help="Folder for evaluation.html, evaluation.json and predictions.csv; new or empty.",
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
        from hcat_core.runs.new_patients import read_new_patients
        from hcat_core.runs.trained_run import load_run

        trained = load_run(run, catalog)
        patients = read_new_patients(trained, catalog, files, outcomes=True)
        evaluation = evaluate_run(trained, patients, groups)
        document = evaluation.as_json()
        for warning in evaluation.warnings:
            output.warn(warning)
        if folder is not None:
            _write(folder, document, trained, evaluation)
    if not quiet and not as_json:
        _print(output, document)
        if outdir is not None:
            output.say(f"{outdir}/: evaluation.json, predictions.csv")
            output.say(f"open {outdir / PAGE}")
        else:
            output.say(f"--outdir FOLDER writes the same as a page, {PAGE}, and the predictions")
    output.document(document)


def _write(folder: Path, document: dict[str, Any], run: TrainedRun, evaluation: Evaluation) -> None:
    import json

    from hcat_core.report.formatting import today
    from hcat_core.runs.evaluation_page import evaluation_page
    from hcat_core.runs.predict import as_csv
    from hcat_core.storage.checkpoint import write_text

    write_text(folder / "evaluation.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    write_text(folder / "predictions.csv", as_csv(evaluation.predictions))
    write_text(folder / PAGE, evaluation_page(run, evaluation, today()))


def _print(output: Output, document: dict[str, Any]) -> None:
    from rich.table import Table

    output.say(f"{counted(document['patients'], 'patient')}; nothing was fitted here")
    table = Table(title="all patients", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in ("task", *HEADINGS, "Brier", "Uno C"):
        table.add_column(heading, overflow="fold")
    for task, m in document["metrics"].items():
        scores = shown(m)
        last = (number(m["brier"]), with_interval(scores["c_index"], m["c_index_95"], 2))
        table.add_row(task, *_cells(m), *last)
    if table.row_count:
        print_table(output.words, table, keys=1)
    others = document.get("other_outcomes", {})
    print_others(output.words, "all patients", ("outcome",), [((name,), m) for name, m in others.items()])
    _print_patterns(output, document)
    for name, by_group in document["groups"].items():
        rows = [[group, task, *_cells(m)] for group, tasks in by_group.items() for task, m in tasks.items()]
        if rows:
            print_grouped(output.words, f"by {name}", (name, "task", *HEADINGS), rows)
        found = document.get("other_groups", {}).get(name, {})
        others_of = [((group, outcome), m) for group, by in found.items() for outcome, m in by.items()]
        print_others(output.words, f"by {name}", (name, "outcome"), others_of)
    groups = [group for groups in document["groups"].values() for group in groups.values()]
    patterns_tasks = [pattern["tasks"] for pattern in document["patterns"]]
    scored = [m for tasks in (document["metrics"], *patterns_tasks, *groups) for m in tasks.values()]
    for sentence in why_left_out(scored):
        output.say(sentence)
    print_verdicts(output.words, document["verdicts"])


def _print_patterns(output: Output, document: dict[str, Any]) -> None:
    names = document["modalities"]
    rows: list[list[str]] = []
    others: list[tuple[tuple[str, str], dict[str, Any]]] = []
    for pattern in document["patterns"]:
        has = " ".join(n for n, h in zip(names, pattern["present"], strict=True) if h) or "none"
        rows += [[has, task, *_cells(m)] for task, m in pattern["tasks"].items()]
        others += [((has, name), m) for name, m in pattern.get("other_outcomes", {}).items()]
    if rows:
        print_grouped(output.words, "by missingness pattern", ("modalities", "task", *HEADINGS), rows)
    print_others(output.words, "by missingness pattern", ("modalities", "outcome"), others)


def _cells(scores: dict[str, Any]) -> list[str]:
    m = shown(scores)
    return [
        f"{m['events']}/{m['patients']}",
        with_interval(m["auc"], m["auc_95"], 2),
        with_interval(m["calibration_slope"], m["calibration_slope_95"], 2),
        *(number(m[name], 2) for name in ("mean_predicted", "observed")),
    ]
