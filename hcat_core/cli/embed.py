"""``hcat embed RUN``: the vectors by which a neural run represents patients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hcat_core.cli.console import Output, common_options
from hcat_core.cli.new_patients import patient_options, read_patients
from hcat_core.text.counted import counted


@click.command()
@patient_options
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Write the vectors to FILE, which ends with .csv, .parquet or .h5.",
)
@common_options
def embed(run: Path, target: Path, as_json: bool, quiet: bool, **arguments: Any) -> None:
    """Write one vector for each patient: what the neural model in the folder RUN makes of all modalities.

    Columns m1_0, m1_1, ... are of the first member of the run's ensemble, m2_0, ... of the second: each has
    a space of its own.
    """
    from hcat_core.runs.embed import embed_patients, refuse_ending, write_embeddings

    output = Output.make(as_json, quiet)
    refuse_ending(target)
    trained, cohort = read_patients(run, arguments, output)
    vectors = embed_patients(trained, cohort)
    write_embeddings(vectors, target)
    members = len({name.partition("_")[0] for name in vectors.columns})
    if not quiet and not as_json:
        output.say(
            f"{counted(len(vectors), 'patient')}, {counted(vectors.shape[1], 'number')} of "
            f"{counted(members, 'member')}: {target}"
        )
    output.document(
        {"run_folder": str(run), "file": str(target), "patients": len(vectors), "members": members}
    )
