"""``hcat impute RUN``: patients' files completed by the imputer of a trained run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hcat_core.cli.console import Output, common_options
from hcat_core.cli.new_patients import patient_options, read_patients
from hcat_core.cli.tables import print_table
from hcat_core.errors import UsageError
from hcat_core.text.counted import counted

if TYPE_CHECKING:
    from hcat_core.runs.impute import CompletedModality


@click.command()
@patient_options
@click.option(
    "--draws", type=click.IntRange(min=1), metavar="M",
    help="Write M completed sets, each a random draw of what is missing, for multiple imputation.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), help="Of the draws.  [default: the seed of the recipe]")
@click.option(
    "--format", "file_format", type=click.Choice(["h5", "csv", "parquet"]), default="h5", show_default=True,
    help="h5: one file per modality, and with --draws a folder draw_01, draw_02, ... for each set. csv, "
    "parquet: with --draws, one table with a column draw, where 0 is the data as measured.",
)  # fmt: skip
@click.option(
    "--delta", "deltas", multiple=True, metavar="[MODALITY=]SHIFT",
    help="Shift imputed values, of all modalities or of one, by SHIFT standard deviations of the training "
    "patients: a sensitivity analysis for values missing not at random. Repeatable.",
)  # fmt: skip
@click.option(
    "--outdir", type=click.Path(path_type=Path), default=Path("imputed"), show_default=True,
    help="Folder for the completed files; new or empty.",
)  # fmt: skip
@common_options
def impute(
    run: Path,
    draws: int | None,
    seed: int | None,
    file_format: Any,
    deltas: Sequence[str],
    outdir: Path,
    as_json: bool,
    quiet: bool,
    **arguments: Any,
) -> None:
    """Fill gaps and missing modalities in patients' files with the imputer of the run in the folder RUN.

    Writes one HDF5 file per modality, with one row per patient, in the units of the input files and in the
    layout that hcat reads. Measured values stay as they were; further datasets hold which cells were
    imputed, and their standard deviations. imputation.json says how the files were made.
    """
    output = Output.make(as_json, quiet)
    if draws is None and (file_format != "h5" or seed is not None):
        given = "--seed" if seed is not None else f"--format {file_format}"
        raise UsageError(f"{given} needs --draws M, the number of completed sets.")
    trained, cohort = read_patients(run, arguments, output)

    from hcat_core.runs.delta_shift import shifts_from
    from hcat_core.runs.impute import imputation_warnings, write_completed
    from hcat_core.runs.multiple_imputation import DrawPlan, write_draws

    shifts = shifts_from(deltas, trained.layout)
    for warning in imputation_warnings(trained, cohort):
        output.warn(warning)
    document: dict[str, Any] = {"run_folder": str(run), "shift_sd": shifts}
    if draws is None:
        written = write_completed(trained, cohort, outdir, shifts)
    else:
        plan = DrawPlan.of(trained, draws, seed, file_format)
        written = write_draws(trained, cohort, outdir, plan, shifts)
        document |= asdict(plan)
    if not quiet and not as_json:
        _print(output, written[: len(trained.layout.modalities)], outdir)
        if draws is not None:
            output.say(f"{counted(draws, 'set')}, seed {document['seed']}: {outdir}")
        for name, shift in shifts.items():
            output.say(f"{name}: imputed values are shifted by {shift:+g} standard deviations")
    output.document({**document, "files": [{**asdict(one), "path": str(one.path)} for one in written]})


def _print(output: Output, written: Sequence[CompletedModality], outdir: Path) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in (
        "modality",
        "patients",
        "blocks imputed",
        "cells imputed",
        "cells left missing",
        "file",
    ):
        table.add_column(heading, overflow="fold")
    for one in written:
        counted = (one.patients, one.blocks_imputed, one.cells_imputed, one.cells_left_missing)
        table.add_row(one.name, *map(str, counted), str(one.path.relative_to(outdir)))
    print_table(output.words, table, keys=1)
    output.say(f"written to {outdir}/")
