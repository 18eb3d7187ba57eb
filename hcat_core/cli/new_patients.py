"""The options of every command that takes a trained run and files of patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hcat_core.cli.console import Output, open_catalog
from hcat_core.cli.recipe_options import by_name, given_inputs, recipe_of
from hcat_core.recipe.options import INPUTS

if TYPE_CHECKING:
    from hcat_core.cohort import Cohort
    from hcat_core.runs.new_patients import PatientFiles
    from hcat_core.runs.trained_run import TrainedRun


def patient_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the run folder, and the options that name the patients' files."""
    for name in reversed(INPUTS):
        command = click.option(
            f"--{name}", type=click.Path(path_type=Path), help=f"File of the {name} modality."
        )(command)
    for option in (
        click.option(
            "--set",
            "sets",
            metavar="cohort.KEY=VALUE",
            multiple=True,
            help="Change how files are read, such as cohort.modalities.clinical.path=FILE; repeatable.",
        ),
        click.option(
            "--slide-map",
            "slide_maps",
            metavar="[NAME=]FILE",
            multiple=True,
            help="A CSV of the new slides and their patients, for a modality of slides; repeatable.",
        ),
        click.option(
            "--root",
            type=click.Path(path_type=Path, exists=True, file_okay=False),
            help="Folder that has files of the same names as in training.",
        ),
        click.option(
            "--input",
            "input_pairs",
            metavar="NAME=FILE",
            multiple=True,
            help="File of any modality; repeatable. With --root, the other modalities are read there.",
        ),
        click.argument("run", type=click.Path(path_type=Path)),
    ):
        command = option(command)
    return command


def files_from(arguments: Mapping[str, Any], targets: Path | None = None) -> PatientFiles:
    """The files that the options of ``patient_options`` name."""
    from hcat_core.runs.new_patients import PatientFiles

    return PatientFiles(
        given_inputs(arguments),
        arguments["root"],
        targets,
        arguments["sets"],
        {name: Path(file) if file else None for name, file in by_name(arguments["slide_maps"]).items()},
    )


def read_patients(run: Path, arguments: Mapping[str, Any], output: Output) -> tuple[TrainedRun, Cohort]:
    """The trained run, and the patients in the files that the options of ``patient_options`` name.

    What was found in the files is warned of, and values outside the range of the training patients.
    """
    files = files_from(arguments)
    catalog = open_catalog(output, [recipe_of(run)])

    from hcat_core.runs.new_patients import read_new_patients
    from hcat_core.runs.trained_run import load_run

    trained = load_run(run, catalog)
    patients = read_new_patients(trained, catalog, files, outcomes=False)
    for warning in patients.warnings:
        output.warn(warning)
    return trained, patients.cohort
