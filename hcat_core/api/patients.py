"""New patients in Python, in the layout of a trained run."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from hcat_core import cohort as core
from hcat_core.api.cohort import Cohort
from hcat_core.api.findings import warn_of
from hcat_core.api.frames import (
    TABLE_KEYS,
    each_of,
    frame_component,
    refuse_other_than_frames,
    source_of,
)
from hcat_core.data.schema import CohortTable
from hcat_core.errors import UsageError
from hcat_core.reading import Reader
from hcat_core.registry.catalog import Catalog
from hcat_core.runs.new_patients import read_patients
from hcat_core.runs.recipe_cohort import CohortReaders
from hcat_core.runs.trained_run import TrainedRun

Patients = Cohort | Mapping[str, pd.DataFrame] | pd.DataFrame
"""New patients: DataFrames by modality, that of the only modality of a run, or a cohort."""


def patients_of(run: TrainedRun, patients: Patients, catalog: Catalog) -> core.Cohort:
    """Read new patients into the layout of a trained run; what differs from training is warned of.

    A DataFrame is read as the run's recipe reads the modality: its ids, categories and columns to leave
    out. A category that training did not have is not measured.

    Args:
        run: the trained run.
        patients: any subset of its modalities.
        catalog: of components.

    Raises:
        UsageError: for what is no mapping of DataFrames by modality.
        DataError: for frames that cannot be read, or of a modality that the run does not know.
    """
    if isinstance(patients, Cohort):
        readers = dict(patients.given.readers.modalities)
    else:
        if isinstance(patients, pd.DataFrame) and len(run.layout.names) == 1:
            patients = {run.layout.names[0]: patients}
        readers = _readers(run, patients, catalog)
    read = read_patients(run, CohortReaders(readers), CohortTable())
    warn_of(read.warnings)
    return read.cohort


def _readers(run: TrainedRun, frames: object, catalog: Catalog) -> dict[str, Reader]:
    refuse_other_than_frames(frames)
    assert isinstance(frames, Mapping)
    unknown = [name for name in frames if name not in run.layout.names]
    if unknown:
        raise UsageError(
            f"the run knows no modality named {', '.join(map(repr, unknown))}; it was trained on "
            f"{', '.join(run.layout.names)}."
        )
    component = frame_component(catalog)
    tables = run.recipe.cohort.modalities

    def read(name: str) -> Reader:
        table = tables.get(name, {})
        keys = {key: table[key] for key in TABLE_KEYS if table.get("use") == "table" and key in table}
        return component.of(frames[name], source_of(name), keys)

    return each_of(frames, read)
