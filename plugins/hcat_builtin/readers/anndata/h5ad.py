"""``h5ad``: one modality from an AnnData file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from hcat_builtin.readers.anndata.elements import (
    Matrix,
    column_of,
    columns_of,
    index_of,
    matrix_of,
    matrix_rows,
    numbers_of,
)
from hcat_builtin.readers.hdf5.safety import open_h5, text_attribute
from hcat_builtin.readers.isolation.reader import IsolatedReader
from hcat_core.errors import DataError
from hcat_core.reading import COUNT_COLUMN, QUALITY_COLUMN, ColumnTable, ModalityTable
from hcat_core.text.counted import counted
from hcat_core.text.quoting import one_line


@dataclass(frozen=True)
class Selection:
    """What is read of an AnnData: X, a layer or an obsm, and columns with weights and quality."""

    layer: str | None
    obsm: str | None
    weight: str | None
    quality: str | None

    def __post_init__(self) -> None:
        if self.layer is not None and self.obsm is not None:
            raise ValueError("layer and obsm are two matrices; name one of them")

    @property
    def matrix(self) -> str:
        """Where the matrix lies in an AnnData."""
        if self.layer is not None:
            return f"layers/{self.layer}"
        return "X" if self.obsm is None else f"obsm/{self.obsm}"


class H5adReader(IsolatedReader):
    """Reads a modality from an AnnData file (``.h5ad``), dense or sparse, one or more rows per patient.

    A NaN in the matrix was not measured; a cell that a sparse matrix does not store is a measured 0. Names
    of features are those of ``var``. Columns of ``obs`` can be outcomes: numbers, text, categories.

    Args:
        path: the file.
        patient_id: column of ``obs`` with the patient of each row; the names of ``obs`` when not given.
        layer: the layer to read instead of ``X``.
        obsm: the entry of ``obsm`` to read instead of ``X``.
        weight: column of ``obs`` with row weights.
        quality: column of ``obs`` with quality scores in [0, 1]; ``hcat_quality`` by default, if it exists.
    """

    def __init__(
        self,
        *,
        path: Path,
        patient_id: str | None = None,
        layer: str | None = None,
        obsm: str | None = None,
        weight: str | None = None,
        quality: str | None = None,
    ) -> None:
        self.source = str(path)
        self.path = path
        self.patient_id = patient_id
        self.selection = Selection(layer, obsm, weight, quality)

    def read_here(self) -> Iterator[ModalityTable]:
        """``read`` in this process: what the worker runs."""
        with open_h5(self.path) as file:
            refuse_other_than(file, "anndata")
            yield from annotated_rows(file, "", self._ids(file), self.selection)

    def read_columns_here(self, names: list[str]) -> ColumnTable:
        """``read_columns`` in this process."""
        with open_h5(self.path) as file:
            refuse_other_than(file, "anndata")
            return ColumnTable(self._ids(file), {name: column_of(file, "obs", name) for name in names})

    def describe_here(self) -> str:
        """``describe`` in this process."""
        with open_h5(self.path) as file:
            refuse_other_than(file, "anndata")
            ids = self._ids(file)
            matrix = annotated_matrix(file, "", len(ids), self.selection)
            origin = "obs_names" if self.patient_id is None else f"obs column {self.patient_id}"
            return f"AnnData: {matrix}, {counted(len(set(ids.tolist())), 'patient')} in {origin}"

    def _ids(self, file: h5py.File) -> np.ndarray:
        return index_of(file, "obs") if self.patient_id is None else column_of(file, "obs", self.patient_id)


def refuse_other_than(file: h5py.File, wanted: str) -> None:
    """Refuse a file whose encoding is not ``wanted`` (``anndata`` or ``MuData``).

    Raises:
        DataError: with the file's encoding, and the reader for it.
    """
    kind = text_attribute(file, "encoding-type")
    if kind == wanted or (kind is None and wanted == "anndata"):
        return  # anndata 0.7 wrote no encoding
    use = {"anndata": "h5ad", "MuData": "h5mu"}.get(kind or "", "h5")
    raise DataError(
        f"{file.filename}: is {kind or 'an HDF5 file that names no encoding'}, not {wanted}. Read it with "
        f'use = "{use}".'
    )


def annotated_matrix(file: h5py.File, prefix: str, rows: int, selection: Selection) -> Matrix:
    """The chosen matrix of the AnnData at ``prefix`` ("" or "mod/NAME/")."""
    return matrix_of(file, prefix + selection.matrix, rows)


def annotated_rows(
    file: h5py.File, prefix: str, ids: np.ndarray, selection: Selection
) -> Iterator[ModalityTable]:
    """The rows of the AnnData at ``prefix``, whose patients are ``ids``.

    Raises:
        DataError: for parts whose sizes do not fit the matrix.
    """
    matrix = annotated_matrix(file, prefix, len(ids), selection)
    obs = f"{prefix}obs"
    columns = columns_of(file, obs)
    quality_name = selection.quality or (QUALITY_COLUMN if QUALITY_COLUMN in columns else None)
    weights = None if selection.weight is None else numbers_of(file, obs, selection.weight)
    quality = None if quality_name is None else numbers_of(file, obs, quality_name)
    counts = numbers_of(file, obs, COUNT_COLUMN) if COUNT_COLUMN in columns else None
    features: tuple[str, ...] = ()
    if selection.obsm is None:
        features = tuple(one_line(str(name)) for name in index_of(file, f"{prefix}var").tolist())
        if len(features) != matrix.width:
            raise DataError(
                f"{file.filename}: {matrix} does not have the {len(features)} columns of {prefix}var."
            )
    for part, values in matrix_rows(file, matrix):
        yield ModalityTable(
            ids=ids[part],
            values=values,
            weights=None if weights is None else weights[part],
            quality=None if quality is None else quality[part],
            features=features,
            n_rows=None if counts is None else counts[part],
            patients=len(ids),
        )
