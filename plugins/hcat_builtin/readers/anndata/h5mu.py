"""``h5mu``: one modality of a MuData file, whose ``obsmap`` gives the patient of each row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from hcat_builtin.readers.anndata.elements import column_of, columns_of, index_of, with_gaps
from hcat_builtin.readers.anndata.h5ad import Selection, annotated_matrix, annotated_rows, refuse_other_than
from hcat_builtin.readers.hdf5.safety import find_object, open_h5, read_small
from hcat_builtin.readers.isolation.reader import IsolatedReader
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, ModalityTable
from hcat_core.text.spelling import did_you_mean


class H5muReader(IsolatedReader):
    """Reads a modality from a MuData file (``.h5mu``); a recipe can name the same file for each modality.

    ``obsmap`` gives, for each row of the file's ``obs``, the row of the modality, counted from 1; 0 is a
    patient without the modality. Outcomes are columns of ``obs``, or columns ``MODALITY:COLUMN`` of a
    modality's own ``obs``, as MuData names them. The rest is as in ``h5ad``.

    Args:
        path: the file.
        modality: which of its modalities; can be left out where there is only one.
        patient_id: column of ``obs`` with the patient of each row; the names of ``obs`` when not given.
        layer: the layer to read instead of ``X``.
        obsm: the entry of the modality's ``obsm`` to read instead of ``X``.
        weight: column of the modality's ``obs`` with row weights.
        quality: column of the modality's ``obs`` with quality scores in [0, 1]; ``hcat_quality`` by
            default, if it exists.
    """

    def __init__(
        self,
        *,
        path: Path,
        modality: str | None = None,
        patient_id: str | None = None,
        layer: str | None = None,
        obsm: str | None = None,
        weight: str | None = None,
        quality: str | None = None,
    ) -> None:
        self.source = str(path)
        self.path = path
        self.modality = modality
        self.patient_id = patient_id
        self.selection = Selection(layer, obsm, weight, quality)

    def read_here(self) -> Iterator[ModalityTable]:
        """``read`` in this process: what the worker runs."""
        with open_h5(self.path) as file:
            refuse_other_than(file, "MuData")
            modality = self._modality(file)
            place = row_of_patient(file, modality)
            present = place >= 0
            ids = np.empty(int(present.sum()), dtype=object)
            ids[place[present]] = self._ids(file)[present]
            yield from annotated_rows(file, f"mod/{modality}/", ids, self.selection)

    def read_columns_here(self, names: list[str]) -> ColumnTable:
        """``read_columns`` in this process."""
        with open_h5(self.path) as file:
            refuse_other_than(file, "MuData")
            return ColumnTable(self._ids(file), {name: _outcome(file, name) for name in names})

    def describe_here(self) -> str:
        """``describe`` in this process."""
        with open_h5(self.path) as file:
            refuse_other_than(file, "MuData")
            modality = self._modality(file)
            place = row_of_patient(file, modality)
            rows = int((place >= 0).sum())
            matrix = annotated_matrix(file, f"mod/{modality}/", rows, self.selection)
            origin = "obs_names" if self.patient_id is None else f"obs column {self.patient_id}"
            return f"MuData, modality {modality}: {matrix}, obsmap has {rows} of {len(place)} {origin}"

    def _ids(self, file: h5py.File) -> np.ndarray:
        return index_of(file, "obs") if self.patient_id is None else column_of(file, "obs", self.patient_id)

    def _modality(self, file: h5py.File) -> str:
        names = modalities_of(file)
        if self.modality is None:
            if len(names) == 1:
                return names[0]
            raise DataError(
                f"{self.source}: holds {', '.join(names) or 'no modality'}. Name one in the recipe: "
                f'modality = "{names[0] if names else "NAME"}".'
            )
        if self.modality not in names:
            raise DataError(
                f'{self.source}: has no modality "{self.modality}".{did_you_mean(self.modality, names)}'
            )
        return self.modality


def modalities_of(file: h5py.File) -> list[str]:
    """The names of a MuData file's modalities."""
    group = find_object(file, "mod")
    return list(group) if isinstance(group, h5py.Group) else []


def row_of_patient(file: h5py.File, modality: str) -> np.ndarray:
    """(N,) row of the modality, from 0, for each row of ``obs``; -1 for a patient without the modality.

    Raises:
        DataError: for an ``obsmap`` that is missing, that does not give each row to exactly one patient, or
            that gives a row to a patient of another name.
    """
    where = f"{file.filename}: obsmap/{modality}"
    node = find_object(file, f"obsmap/{modality}")
    if not isinstance(node, h5py.Dataset):
        raise DataError(f"{where}: does not exist. Write the file again with mudata.")
    obs_names, row_names = index_of(file, "obs"), index_of(file, f"mod/{modality}/obs")
    stored = read_small(node).reshape(-1)
    if stored.dtype.kind not in "iu" or len(stored) != len(obs_names):
        raise DataError(
            f"{where}: {len(obs_names)} whole numbers are needed, a row of {modality} for each row of obs."
        )
    place = stored.astype(np.int64) - 1
    present = place >= 0
    if not np.array_equal(np.sort(place[present]), np.arange(len(row_names))) or (place < -1).any():
        raise DataError(
            f"{where}: maps {int(present.sum())} rows of obs to the {len(row_names)} rows of {modality}; "
            f"it needs each number from 1 to {len(row_names)} once, and 0 for patients without it."
        )
    different = np.flatnonzero(row_names[place[present]] != obs_names[present])
    if len(different):
        row = int(np.flatnonzero(present)[different[0]])
        raise DataError(f"{where}: row {row} of obs and its row of {modality} have different names.")
    return place


def _outcome(file: h5py.File, name: str) -> np.ndarray:
    """A column in the order of ``obs``; unknown for patients whom its modality lacks."""
    modality, colon, column = name.partition(":")
    if not colon or name in columns_of(file, "obs") or modality not in modalities_of(file):
        return column_of(file, "obs", name)
    values = column_of(file, f"mod/{modality}/obs", column)
    place = row_of_patient(file, modality)
    if not len(values):
        return np.full(len(place), None, dtype=object)
    return with_gaps(values[place], place < 0)
