"""``h5mu``: one modality of a MuData file; ``obsmap`` says which patient each of its rows is of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from hcat_builtin.readers.anndata.elements import column_of, columns_of, index_of, with_gaps
from hcat_builtin.readers.anndata.h5ad import Choice, annotated_matrix, annotated_rows, refuse_other_than
from hcat_builtin.readers.hdf5.safety import find_object, open_h5, read_small
from hcat_builtin.readers.isolation.reader import IsolatedReader
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, ModalityTable
from hcat_core.text.spelling import did_you_mean


class H5muReader(IsolatedReader):
    """Reads a modality from a MuData file (``.h5mu``); a recipe names the same file under several.

    Rows of a modality belong to the rows of the file's ``obs`` that its ``obsmap`` sends to them: numbers
    from 1 on, 0 for a patient without the modality. Outcomes are columns of ``obs``, or of a modality's own
    ``obs`` under ``MODALITY:COLUMN``, as MuData calls them. Otherwise as ``h5ad``.

    Args:
        path: the file.
        modality: which of its modalities; may be left out where there is one.
        patient_id: column of ``obs`` with the patient of each row; the names of ``obs`` when not given.
        layer: the layer to read instead of ``X``.
        obsm: the entry of the modality's ``obsm`` to read instead of ``X``.
        weight: column of the modality's ``obs`` with row weights.
        quality: column of the modality's ``obs`` with quality scores in [0, 1]; when not given
            ``hcat_quality``, if there.
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
        self.layer = layer
        self.obsm = obsm
        self.weight = weight
        self.quality = quality
        self.choice = Choice(layer, obsm, weight, quality)

    def read_here(self) -> Iterator[ModalityTable]:
        """``read`` in this process: what the worker runs."""
        with open_h5(self.path) as file:
            refuse_other_than(file, "MuData")
            modality = self._modality(file)
            place = row_of_patient(file, modality)
            has = place >= 0
            ids = np.empty(int(has.sum()), dtype=object)
            ids[place[has]] = self._ids(file)[has]
            yield from annotated_rows(file, f"mod/{modality}/", ids, self.choice)

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
            matrix = annotated_matrix(file, f"mod/{modality}/", rows, self.choice)
            origin = "obs_names" if self.patient_id is None else f"obs column {self.patient_id}"
            return f"MuData, modality {modality}: {matrix}, obsmap has {rows} of {len(place)} {origin}"

    def _ids(self, file: h5py.File) -> np.ndarray:
        return index_of(file, "obs") if self.patient_id is None else column_of(file, "obs", self.patient_id)

    def _modality(self, file: h5py.File) -> str:
        known = modalities_of(file)
        if self.modality is None:
            if len(known) == 1:
                return known[0]
            raise DataError(
                f"{self.source}: holds {', '.join(known) or 'no modality'}. Say which in the recipe: "
                f'modality = "{known[0] if known else "NAME"}".'
            )
        if self.modality not in known:
            raise DataError(
                f'{self.source}: has no modality "{self.modality}".{did_you_mean(self.modality, known)}'
            )
        return self.modality


def modalities_of(file: h5py.File) -> list[str]:
    """The names of a MuData file's modalities."""
    group = find_object(file, "mod")
    return list(group) if isinstance(group, h5py.Group) else []


def row_of_patient(file: h5py.File, modality: str) -> np.ndarray:
    """(N,) row in the modality of each row of ``obs``, from 0; -1 where the patient lacks it.

    Raises:
        DataError: for an ``obsmap`` that is not there, sends two patients to a row or none, or gives a row
            to a patient of another name.
    """
    where = f"{file.filename}: obsmap/{modality}"
    node = find_object(file, f"obsmap/{modality}")
    if not isinstance(node, h5py.Dataset):
        raise DataError(f"{where}: is not there. Write the file anew with mudata.")
    names, own = index_of(file, "obs"), index_of(file, f"mod/{modality}/obs")
    stored = read_small(node).reshape(-1)
    if stored.dtype.kind not in "iu" or len(stored) != len(names):
        raise DataError(
            f"{where}: {len(names)} whole numbers are needed, a row of {modality} for each of obs."
        )
    place = stored.astype(np.int64) - 1
    has = place >= 0
    if not np.array_equal(np.sort(place[has]), np.arange(len(own))) or (place < -1).any():
        raise DataError(
            f"{where}: sends {int(has.sum())} of obs to the {len(own)} rows of {modality}; it needs each "
            f"number from 1 to {len(own)} once, and 0 for who lacks the modality."
        )
    strange = np.flatnonzero(own[place[has]] != names[has])
    if len(strange):
        row = int(np.flatnonzero(has)[strange[0]])
        raise DataError(
            f"{where}: row {row} of obs and the row of {modality} it is sent to have other names."
        )
    return place


def _outcome(file: h5py.File, name: str) -> np.ndarray:
    """A column by the rows of ``obs``; unknown for patients whom its modality lacks."""
    modality, colon, column = name.partition(":")
    if not colon or name in columns_of(file, "obs") or modality not in modalities_of(file):
        return column_of(file, "obs", name)
    values = column_of(file, f"mod/{modality}/obs", column)
    place = row_of_patient(file, modality)
    if not len(values):
        return np.full(len(place), None, dtype=object)
    return with_gaps(values[place], place < 0)
