"""``hcat inspect RECIPE``: the cohort that a run would be trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.other_outcome_tables import with_unit
from hcat_core.cli.recipe_options import RecipePath, recipe_from_command_line, recipe_options
from hcat_core.cli.tables import print_table
from hcat_core.cli.waiting import Waiting
from hcat_core.text.counted import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


@click.command()
@click.argument("recipe", type=RecipePath())
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with code 3 at a feature that gives an outcome away, or any finding about data quality.",
)
@recipe_options
@common_options
def inspect(recipe: Path, strict: bool, as_json: bool, quiet: bool, **arguments: Any) -> int:
    """Show the cohort of RECIPE without training.

    Patients by modality, patterns of missing modalities, outcomes, how many patients a model needs, cells
    that were not measured, features that may give an outcome away, and findings about data quality.
    """
    output = Output.make(as_json, quiet)
    catalog = open_catalog(output, [recipe], arguments["sets"])
    loaded = recipe_from_command_line(recipe, catalog, output, arguments)

    from hcat_core.runs.cohort_checks import check_cohort, inspection_document
    from hcat_core.runs.recipe_cohort import given_by

    with Waiting(output).start("reading the files"):
        given = given_by(loaded, catalog, output.say)
        found = inspection_document(given, check_cohort(loaded, given))
    if as_json:
        output.document(found)
    else:
        if not quiet:
            _print(output, found, loaded.root)
        _warn(output, found)
    return 3 if strict and (found["leaks"] or found["warnings"] or found["refusals"]) else 0


def _table(title: str, *headings: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def below(source: str, root: Path) -> str:
    """A file's path from the folder of the cohort, where it is in it."""
    path = Path(source)
    return str(path.relative_to(root)) if path.is_relative_to(root) else source


def _print(output: Output, found: dict[str, Any], root: Path) -> None:
    console = output.words
    output.say(f"{counted(found['patients'], 'patient')}, {found['complete']} with every modality")
    if found["patients_without_modality"]:
        output.say(
            f"{counted(found['patients_without_modality'], 'patient has', 'patients have')} outcomes and "
            "no modality: left out of training"
        )
    headings = ("modality", "patients", "share", "width", "rows", "cells not measured")
    table = _table("modalities", *headings)
    for m in found["modalities"]:
        gaps = f"{m['cells_not_measured']} ({m['share_not_measured']:.2%})"
        table.add_row(
            m["name"],
            str(m["patients"]),
            f"{m['share']:.1%}",
            str(m["width"]),
            str(m["rows"]),
            gaps,
        )
    print_table(console, table)
    for m in found["modalities"]:
        layout = "" if m["layout"] is None else f": {m['layout']}"
        output.say(f"{m['name']}: {below(m['source'], root)}{layout}")
    for name in found["absent"]:
        output.say(f"{name}: in the recipe, but it has no file")
    for m in found["modalities"]:
        if m["within_variance"] is not None:
            output.say(
                f"{m['name']}: {counted(m['rows'], 'row')} aggregated to "
                f"{counted(m['patients'], 'patient')}; "
                f"{m['within_variance']:.0%} of the variance lies between rows of one patient"
            )
    table = _table("patterns of missingness", "patients", *found["modality_names"])
    for pattern in found["patterns"]:
        marks = ["x" if has else "-" for has in pattern["present"]]
        table.add_row(str(pattern["patients"]), *marks)
    print_table(console, table)
    if not found["tasks"] and not found["other_outcomes"]:
        output.say("no outcomes: the recipe has no cohort.targets")
        output.say(f"fingerprint {found['fingerprint']}")
        return
    _print_outcomes(console, found)
    for name, patients in found["competing_first"].items():
        output.say(f"{name}: the competing event came first for {counted(patients, 'patient')}")
    output.say(f"outcomes from {below(found['targets_source'], root)}")
    for size in found["sample_size"]:
        if size["enough"]:
            output.say(size["message"])
    if not found["warnings"]:
        output.say("no duplicated embeddings, no all-zero rows, no ids that look like one patient")
    if found["split"]:
        output.say(f"a run would split: {', '.join(f'{n} {side}' for side, n in found['split'].items())}")
    if not found["leaks"]:
        output.say(_no_leaks(found["leaks_checked"]))
    output.say(f"fingerprint {found['fingerprint']}")


def _warn(output: Output, found: dict[str, Any]) -> None:
    """Warn of what was found, also where nothing else is printed."""
    for size in found["sample_size"]:
        if not size["enough"]:
            output.warn(size["message"])
    for issue in found["warnings"]:
        output.warn(issue["message"])
    for refusal in found["refusals"]:
        output.warn(f"{refusal} hcat run would stop.")
    for leak in found["leaks"]:
        output.warn(f"{leak['modality']}: {leak['feature']} {leak['reason']}: hcat run would stop")


def _print_outcomes(console: Console, found: dict[str, Any]) -> None:
    """A table of events, one for each outcome of classes, and one of numbers; each where there are any."""
    table = _table("outcomes", "task", "horizon", "event", "event-free", "unknown")
    for task in found["tasks"]:
        table.add_row(
            task["name"],
            "-" if task["horizon_days"] is None else f"{task['horizon_days']:g} days",
            str(task["event"]),
            str(task["event_free"]),
            str(task["unknown"]),
        )
    if found["tasks"]:
        print_table(console, table)
    numbers = _table("numbers", "outcome", "known", "unknown", "mean", "SD", "lowest", "highest")
    for name, counts in found["other_outcomes"].items():
        if "classes" in counts:
            classes = _table(name, "class", "patients")
            for one, patients in (*counts["classes"].items(), ("unknown", counts["unknown"])):
                classes.add_row(one, str(patients))
            print_table(console, classes)
        else:
            described = (counts[key] for key in ("mean", "sd", "lowest", "highest"))
            cells = [with_unit(value, counts["unit"]) for value in described]
            numbers.add_row(name, str(counts["known"]), str(counts["unknown"]), *cells)
    if numbers.row_count:
        print_table(console, numbers)


def _no_leaks(checked: dict[str, Any]) -> str:
    """What was looked at and gave no outcome away; features with few values are not checked alone."""
    alone = ", ".join(f"{number} for {task}" for task, number in checked["alone"].items())
    return (
        f"of {checked['features']} features, {checked['named']} have names, none that of follow-up data; "
        f"checked alone, {alone or 'none'}: no outcome is given away"
    )
