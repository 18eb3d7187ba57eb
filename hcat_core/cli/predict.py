"""``hcat predict RUN``: predictions of a trained run for new patients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hcat_core.cli.console import Output, common_options
from hcat_core.cli.new_patients import patient_options, read_patients
from hcat_core.cli.tables import print_table
from hcat_core.errors import UsageError
from hcat_core.text.counted import counted

if TYPE_CHECKING:
    from hcat_core.runs.predict import PatientPredictions

SHOWN = 20  # patients in the table
FEW = 5  # patients, up to which all is printed of each


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
            output.say(f"{counted(len(records), 'patient')}: {target}")
    output.document({"run_folder": str(run), "patients": records})


def _print(output: Output, predictions: PatientPredictions, records: list[dict[str, Any]]) -> None:
    from hcat_core.cli.prediction_text import Reference, number_text, patient_lines

    if len(records) <= FEW:
        tasks = predictions.cohort.layout.task_names
        known = zip(tasks, predictions.thresholds, predictions.base_rate, strict=True)
        references = {task: Reference(threshold, rate) for task, threshold, rate in known}
        for record in records:
            for line in patient_lines(record, references):
                output.say(line)
        return
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
            as_text = number_text if one["kind"] == "continuous" else "{:.2f}".format
            text = as_text(one.get("value", one.get("probability")))
            if one["interval_90"] is not None:
                text += f" ({as_text(one['interval_90'][0])} to {as_text(one['interval_90'][1])})"
            cells.append(text)
        table.add_row(record["patient_id"], " ".join(record["modalities"]), *cells)
    print_table(output.words, table, keys=2)
    if len(records) > SHOWN:
        output.say(f"and {len(records) - SHOWN} more: write them with -o FILE.csv")
