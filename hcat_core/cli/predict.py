"""``hcat predict RUN``: predictions of a trained run for new patients."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hcat_core.cli.console import Output, common_options, print_table
from hcat_core.cli.new_patients import patient_options, read_patients
from hcat_core.errors import UsageError

if TYPE_CHECKING:
    from hcat_core.runs.predict import PatientPredictions

SHOWN = 20


@click.command()
@patient_options
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the predictions to FILE, which ends with .csv or .json.",
)
@click.option(
    "--explain/--no-explain",
    default=None,
    help="Compute what each modality contributed, and which missing one to measure next.  "
    "[default: for up to 32 patients]",
)
@common_options
def predict(
    run: Path, target: Path | None, explain: bool | None, as_json: bool, quiet: bool, **arguments: Any
) -> None:
    """Predict outcomes of new patients with the trained model in the folder RUN.

    Patients may have any of the modalities that RUN was trained on. Output: the probability of each outcome
    with its 90 % interval; risk over time, where the model gives one; imputed modalities and how uncertain
    they are; what each modality contributed; and which missing one to measure next.
    """
    output = Output.make(as_json, quiet)
    if target is not None and target.suffix.lower() not in (".csv", ".json"):
        raise UsageError(f"--output {target}: write .csv or .json.")
    trained, cohort = read_patients(run, arguments, output)

    import json

    from hcat_core.runs.predict import as_csv, as_records, predict_patients
    from hcat_core.storage.checkpoint import write_text

    predictions = predict_patients(trained, cohort, explain)
    records = as_records(predictions)
    if target is not None and target.suffix.lower() == ".csv":
        write_text(target, as_csv(predictions))
    elif target is not None:
        write_text(target, json.dumps({"patients": records}, indent=1, allow_nan=False) + "\n")
    if not quiet and not as_json:
        _print(output, predictions, records)
        if target is not None:
            output.say(f"{len(records)} patients: {target}")
    output.document({"run_folder": str(run), "patients": records})


def _print(output: Output, predictions: PatientPredictions, records: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("patient", overflow="fold")
    table.add_column("has", overflow="fold")
    for task in predictions.cohort.layout.tasks:
        table.add_column(
            f"{task.output_name} (90 %)" if predictions.predicted.interval is not None else task.output_name
        )
    for record in records[:SHOWN]:
        cells = []
        for one in record["tasks"].values():
            text = f"{one['probability']:.2f}"
            if one["interval_90"] is not None:
                text += f" ({one['interval_90'][0]:.2f} to {one['interval_90'][1]:.2f})"
            cells.append(text)
        table.add_row(record["patient_id"], " ".join(record["modalities"]), *cells)
    print_table(output.words, table)
    if len(records) > SHOWN:
        output.say(f"and {len(records) - SHOWN} more: write them with -o FILE.csv")
    if len(records) == 1:
        _print_one(output, records[0])


def _print_one(output: Output, record: dict[str, Any]) -> None:
    """Print what a single patient's prediction is based on."""
    for name, share in record["imputed"].items():
        output.say(f"{name} is missing: imputed; {min(share, 1):.0%} of its variance remains uncertain")
    for name in record["missing"]:
        if name not in record["imputed"]:
            output.say(f"{name} is missing, and not imputed")
    for one in record["tasks"].values():
        if one["curve"] is not None:
            points = zip(one["curve"]["days"], one["curve"]["probability"], strict=True)
            curve = ", ".join(f"{p:.2f} by day {day:.0f}" for day, p in list(points)[2::3])
            output.say(f"{one['output']}: {curve}")
        if "contributions" in one:
            parts = sorted(one["contributions"].items(), key=lambda item: -abs(item[1]))
            contributions = ", ".join(f"{name} {value:+.3f}" for name, value in parts)
            output.say(f"{one['output']}: {one['base_rate']:.3f} for anyone; {contributions}")
        if one["measure_next"]:
            output.say(f"{one['output']}: {what_to_measure(one)}")
        for name, shift in one.get("tipping_points", {}).items():
            output.say(f"{one['output']}: {what_would_tip(name, shift)}")


def what_would_tip(name: str, shift: float | None) -> str:
    """A sentence on the shift of imputed values at which the decision about a patient changes."""
    from hcat_core.evaluation.tipping_point import FARTHEST

    if shift is None:
        return (
            f"the decision stays if {name} is up to {FARTHEST:g} standard deviations off what was imputed"
        )
    if shift == 0:
        return f"the decision changes if {name} is measured and is what was imputed"
    return f"the decision changes if {name} is {shift:+.2f} standard deviations off what was imputed"


def what_to_measure(one: dict[str, Any]) -> str:
    """A sentence on the missing modality that would change the probability most if it were measured."""
    name = one["measure_next"]
    change = math.sqrt(one["expected_variance_reduction"][name]["value"])
    if f"{change:.2f}" == "0.00":
        return "no modality that is missing would change the probability by as much as 0.01"
    text = f"measuring {name} would change the probability most, by about {change:.2f} either way"
    if one["interval_90"] is None or "expected_width_if_measured" not in one:
        return text
    low, high = one["interval_90"]
    now, then = f"{high - low:.2f}", f"{one['expected_width_if_measured'][name]:.2f}"
    return f"{text}; the interval, {now} wide, would then be about {then} wide"
