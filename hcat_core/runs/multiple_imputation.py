"""Write several completed sets, each a draw of what is missing, for analyses that pool over them.

Imputed cells are drawn jointly from their predictive distribution (Rubin 1987; van Buuren 2018): the spread
between sets is what is not known of the missing values. The uncertainty of the imputer's parameters is in a
draw as far as the imputer's distribution holds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.errors import DataError, UsageError
from hcat_core.interfaces import PatientNumbers
from hcat_core.layout import Layout
from hcat_core.runs.impute import (
    CompletedModality,
    ImputedCohort,
    counts,
    impute_patients,
    write_modalities,
)
from hcat_core.runs.trained_run import TrainedRun
from hcat_core.storage.atomic_files import atomic_write, make_folder
from hcat_core.storage.new_folder import held_folder
from hcat_core.storage.safe_path import safe_path

Format = Literal["h5", "csv", "parquet"]
Append = Callable[[pd.DataFrame], None]
TABLE = "imputations"


@dataclass(frozen=True)
class DrawPlan:
    """How many sets to draw, with which seed, and how to write them.

    ``h5``: a folder ``draw_01`` and so on for each set, with one file per modality that hcat reads.
    ``csv`` and ``parquet``: one long table.
    """

    draws: int
    seed: int
    format: Format = "h5"

    @classmethod
    def of(cls, run: TrainedRun, draws: int, seed: int | None, file_format: Format = "h5") -> DrawPlan:
        """The plan of a run's draws, by default with the seed of its recipe.

        Raises:
            UsageError: for less than one draw.
        """
        if draws < 1:
            raise UsageError(f"draws: a whole number from 1 on is needed, got {draws}.")
        return cls(draws, run.recipe.seed if seed is None else seed, file_format)


def write_draws(
    run: TrainedRun, cohort: Cohort, folder: Path, plan: DrawPlan, shifts: Mapping[str, float] | None = None
) -> list[CompletedModality]:
    """Write ``plan.draws`` completed sets, in the units of the input files; all files, or none.

    Measured cells are the same in every set, to the bit. A patient's draws depend on the seed, the number
    of the set, the patient's id and values, and on no other patient. One set is in memory at a time.

    A table has the columns ``draw``, ``patient_id``, and ``MODALITY.FEATURE`` for each feature, whose
    number stands for a name that is not known. Its ``draw`` 0 is the data as measured, with empty cells.

    Args:
        run: its imputer is used.
        cohort: N patients in the run's layout; those without any modality are left out.
        folder: new or empty.
        plan: number of sets, seed and format.
        shifts: of imputed values, in standard deviations of the training patients, by modality.

    Returns:
        What each file holds, of each set; of a table, once for each modality.

    Raises:
        UsageError: for a run that imputes nothing, a folder that is not empty, Parquet without pyarrow.
        DataError: if no patient has a modality, or two features of a table would have one name.
        StorageError: when the disk is full or not writable.
    """
    if plan.format == "parquet":
        _require_pyarrow()
    with held_folder(folder) as temporary:
        imputed = impute_patients(run, cohort, shifts)
        imputed.describe(temporary, {"draws": plan.draws, "seed": plan.seed, "format": plan.format})
        if plan.format == "h5":
            written = _write_folders(imputed, plan, temporary)
        else:
            written = _write_table(imputed, plan, safe_path(temporary, f"{TABLE}.{plan.format}"))
    return [replace(one, path=folder / one.path.relative_to(temporary)) for one in written]


def draw_set(imputed: ImputedCohort, seed: int, number: int) -> Tensor:
    """(N, M, D) one completed set, the ``number``-th of those of the seed, shifted."""
    drawn = []
    for rows, part in zip(imputed.rows, imputed.parts, strict=True):
        generator = PatientNumbers.of(imputed.cohort.patient_ids[rows], seed, number)
        drawn.append(imputed.shifted(part.draw(1, generator)[0], part))
    return torch.cat(drawn)


def _write_folders(imputed: ImputedCohort, plan: DrawPlan, folder: Path) -> list[CompletedModality]:
    means = imputed.means()
    written = []
    for number in range(1, plan.draws + 1):
        own = safe_path(folder, f"draw_{number:0{max(2, len(str(plan.draws)))}d}")
        make_folder(own)
        completed = replace(means, emb=draw_set(imputed, plan.seed, number))
        attributes = {"draw": number, "draws": plan.draws, "seed": plan.seed}
        written += write_modalities(imputed, completed, own, attributes)
    return written


def _write_table(imputed: ImputedCohort, plan: DrawPlan, path: Path) -> list[CompletedModality]:
    cohort, means = imputed.cohort, imputed.means()
    names = _column_names(cohort.layout)
    ids = np.array(cohort.ids_as_written(), dtype=object)
    known = cohort.measured | means.filled
    with atomic_write(path) as temporary, _table(temporary, plan.format) as append:
        for number in range(plan.draws + 1):
            cells = draw_set(imputed, plan.seed, number) if number else cohort.emb
            cells = cells.masked_fill(~(known if number else cohort.measured), torch.nan)
            for rows in imputed.rows:
                frame = pd.DataFrame(cells[rows][:, cohort.layout.cells].numpy(), columns=names)
                frame.insert(0, "patient_id", ids[rows])
                frame.insert(0, "draw", number)
                append(frame)
    return [counts(imputed, means, column, path) for column in range(len(cohort.layout.modalities))]


def _column_names(layout: Layout) -> list[str]:
    """A table's column for each cell: ``clinical.age``, or ``spatial.17`` where features have no names."""
    names = [
        f"{modality.name}.{modality.features[place] if modality.features else place}"
        for modality in layout.modalities
        for place in range(modality.width)
    ]
    again = next((name for name, times in Counter(names).items() if times > 1), None)
    if again is not None:
        raise DataError(
            f"two columns of the table would be named {again}. Write --format h5, or rename the feature."
        )
    return names


@contextmanager
def _table(path: Path, kind: Format) -> Iterator[Append]:
    """Give a function that appends rows to a new table."""
    if kind == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            yield lambda frame: frame.to_csv(file, header=not file.tell(), index=False, lineterminator="\n")
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []

        def append(frame: pd.DataFrame) -> None:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if not writers:
                writers.append(stack.enter_context(pq.ParquetWriter(path, table.schema)))
            writers[0].write_table(table)

        yield append


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UsageError(
            'writing Parquet needs pyarrow: pip install "hcat-core[parquet]". Or write --format csv.'
        ) from None
