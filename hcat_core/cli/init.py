"""``hcat init``: a first recipe from the files of a cohort."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.recipe_options import by_name, given_inputs
from hcat_core.errors import UsageError
from hcat_core.recipe.options import INPUTS

if TYPE_CHECKING:
    from hcat_core.recipe.first_recipe.questions import Ask, Question

T = TypeVar("T", str, Path)
_FILE = click.Path(path_type=Path)


def _inputs(command: Any) -> Any:
    for name in reversed(INPUTS):
        command = click.option(f"--{name}", type=_FILE, help=f"File of the {name} modality.")(command)
    return command


@click.command()
@_inputs
@click.option(
    "--input", "input_pairs", metavar="NAME=FILE", multiple=True, help="File of any modality; repeatable."
)
@click.option(
    "--outcomes", type=_FILE, help="File of outcomes; one of the others where it has the columns."
)
@click.option("--time", metavar="COLUMN", help="How long each patient was followed.")
@click.option("--event", metavar="COLUMN", help="Who had the event: 1 and 0, or words.")
@click.option("--censored", metavar="COLUMN", help="Instead of --event: 1 for censored patients.")
@click.option("--last-contact", metavar="COLUMN", help="Times of patients without the event, if elsewhere.")
@click.option("--time-unit", type=click.Choice(["days", "months", "years"]), help="Of the times.")
@click.option(
    "--event-value",
    "event_values",
    metavar="[COLUMN=]VALUE",
    multiple=True,
    help="A value that means the event; repeatable. All others mean that there was none.",
)
@click.option(
    "--label",
    "labels",
    metavar="COLUMN",
    multiple=True,
    help="A property without a time, such as MSI, or classes, such as subtypes; repeatable.",
)
@click.option(
    "--value",
    "values",
    metavar="COLUMN",
    multiple=True,
    help="A number to predict, such as a score; repeatable.",
)
@click.option("--horizon", metavar="5y|24m|730d", help="Until when the event counts.")
@click.option("--horizon-days", type=float, help="The same in days.")
@click.option("--outcome", metavar="NAME", help="Name of the event in the output, such as death.")
@click.option("--groups", metavar="COLUMN", help="Site or family, which stays on one side of every split.")
@click.option(
    "--slide-map",
    "slide_maps",
    metavar="[NAME=]FILE",
    multiple=True,
    help="A CSV of slides and their patients, for a modality of slides.",
)
@click.option(
    "--patient-id",
    "patient_ids",
    metavar="[NAME=]COLUMN",
    multiple=True,
    help="The column of patient ids; of one modality, of outcomes, or of all tables.",
)
@click.option(
    "--model",
    metavar="NAME",
    help="One of hcat recipes, or an estimator.  [default: small_cohort, or logistic for labels]",
)
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("recipe.toml"),
    show_default=True,
    help="The recipe; never overwritten.",
)
@common_options
def init(target: Path, as_json: bool, quiet: bool, **arguments: Any) -> None:
    """Write a first recipe for your own files.

    The files are looked at: text columns become categories, follow-up columns are left out, units and the
    meaning of values are taken from names and values where these are certain. What cannot be seen is asked,
    or, without a terminal, reported with the option that answers it. Every decision is in the recipe.

    hcat init --clinical clinical.csv --input rna=rna.h5 --outcomes outcomes.csv --time months --event dead
    """
    output = Output.make(as_json, quiet)
    if target.exists():
        raise UsageError(
            f"{target} exists, and is not overwritten. Name another file with -o, or remove it."
        )
    catalog = open_catalog(output)

    from hcat_core.recipe.first_recipe.first_recipe import write_first_recipe
    from hcat_core.recipe.first_recipe.questions import Interview
    from hcat_core.recipe.first_recipe.wanted import Wanted
    from hcat_core.storage.checkpoint import write_text

    wanted = Wanted(
        inputs=given_inputs(arguments),
        target=target,
        horizon_days=_horizon(arguments.pop("horizon"), arguments.pop("horizon_days")),
        slide_maps={name: Path(file) for name, file in by_name(arguments.pop("slide_maps")).items()},
        patient_ids=by_name(arguments.pop("patient_ids")),
        **{name: value for name, value in arguments.items() if name not in (*INPUTS, "input_pairs")},
    )
    if wanted.event is not None and wanted.censored is not None:
        raise UsageError("--censored stands instead of --event; give one of them.")
    interview = Interview(_ask(output) if _has_terminal(as_json) else None)
    recipe = write_first_recipe(wanted, catalog, interview)
    write_text(target, recipe.text)
    for sentence in recipe.seen:
        output.say(f"- {sentence}")
    output.say(f"written: {target}")
    output.say(f"next: hcat inspect {target}, then hcat run {target}")
    output.document({"recipe": str(target), "seen": list(recipe.seen)})


def _has_terminal(as_json: bool) -> bool:
    return not as_json and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _ask(output: Output) -> Ask:
    def ask(question: Question) -> str | None:
        default = question.likely[0] if len(question.likely) == 1 else None
        if len(question.likely) > 1:
            output.say(f"({', '.join(question.likely[:12])})")
        output.say(f"{question.text[0].upper()}{question.text[1:]}")
        while True:
            given = click.prompt(question.option, default=default or "", show_default=bool(default))
            answer = str(given).strip()
            if not answer or not question.possible or answer in question.possible:
                return answer or None
            output.say(f"{answer} is none of: {', '.join(question.possible)}")

    return ask


def _horizon(text: str | None, days: float | None) -> float | None:
    """The horizon in days.

    Raises:
        UsageError: for a text that is no time, or where both are given.
    """
    from hcat_core.recipe.first_recipe.outcome_columns import horizon_in_days

    if text is not None and days is not None:
        raise UsageError("--horizon and --horizon-days are the same; give one of them.")
    if days is not None and not 0 < days < 60_000:
        raise UsageError(f"--horizon-days: expected a number of days above 0, got {days:g}.")
    if text is None:
        return days
    found = horizon_in_days(text)
    if found is None:
        raise UsageError(f'--horizon: expected a time such as 5y, 24m or 730d, got "{text}".')
    return found
