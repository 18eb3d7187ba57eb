"""``hcat impute RUN``: patients' files completed by the imputer of a trained run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hcat_core.cli.console import Output, common_options, print_table
from hcat_core.cli.new_patients import patient_options, read_patients


@click.command()
@patient_options
@click.option(
    "--outdir", type=click.Path(path_type=Path), default=Path("imputed"), show_default=True,
    help="Folder for the completed files; new or empty.",
)  # fmt: skip
@common_options
def impute(run: Path, outdir: Path, as_json: bool, quiet: bool, **arguments: Any) -> None:
    """Fill gaps and missing modalities in patients' files with the imputer of the run in the folder RUN.

    Writes one HDF5 file per modality, with one row per patient, in the units of the input files and in the
    layout that hcat reads. Measured values stay as they were; further datasets hold which cells were
    imputed, and their standard deviations.
    """
    output = Output.make(as_json, quiet)
    trained, cohort = read_patients(run, arguments, output)
    if trained.recipe.is_neural and trained.recipe.training.imputer_gradient:
        output.warn(
            "this imputer was trained with the prediction's gradient: its values are outcome-informed. Do "
            "not use them as if they were measured in an analysis of the same outcome."
        )
    left_out = int((~cohort.present.any(dim=1)).sum())
    if left_out:
        output.warn(f"{left_out} patients have no measured value in any modality and are left out")

    from hcat_core.runs.impute import write_completed

    written = write_completed(trained, cohort, outdir)
    if not quiet and not as_json:
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for heading in ("file", "patients", "blocks imputed", "cells imputed", "cells left missing"):
            table.add_column(heading, overflow="fold")
        for one in written:
            counts = (one.patients, one.blocks_imputed, one.cells_imputed, one.cells_left_missing)
            table.add_row(str(one.path), *map(str, counts))
        print_table(output.words, table)
    output.document(
        {"run_folder": str(run), "files": [{**asdict(w), "path": str(w.path)} for w in written]}
    )
