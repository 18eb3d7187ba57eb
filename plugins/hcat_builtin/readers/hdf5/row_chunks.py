"""Rows in pieces of bounded size: those of an embedding dataset, and small bags put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import h5py
import numpy as np

from hcat_builtin.readers.hdf5.progress import now
from hcat_builtin.readers.hdf5.safety import find_object, refuse_not_numeric, refuse_unsafe
from hcat_builtin.readers.hdf5.size_limits import MAX_CHUNK
from hcat_core.errors import DataError
from hcat_core.reading import ModalityTable

CHUNK_BYTES = 4 << 20


def rows_of_a_piece(row_bytes: int) -> int:
    """How many rows are about ``CHUNK_BYTES``; at least 1."""
    return max(1, CHUNK_BYTES // max(1, row_bytes))


def checked_embedding(file: h5py.File, name: str) -> h5py.Dataset:
    """The embedding dataset, safe to read.

    Raises:
        DataError: for one that is unsafe or holds no numbers.
    """
    node = find_object(file, name)
    if not isinstance(node, h5py.Dataset):
        raise DataError(f"{file.filename}: {name} is not a dataset.")
    refuse_unsafe(node)
    refuse_not_numeric(node)
    return node


def flat_size(embedding: h5py.Dataset, name: str) -> tuple[int, int]:
    """Rows and features of an embedding (R, d), (1, R, d) or (R,).

    Raises:
        DataError: for any other shape, or no features.
    """
    shape: tuple[int, ...] = embedding.shape or ()
    if len(shape) == 1:
        return shape[0], 1
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 2 or shape[1] == 0:
        raise DataError(
            f"{embedding.file.filename}: {name} has shape {embedding.shape}; (rows, features) is needed."
        )
    return shape[0], shape[1]


def row_pieces(embedding: h5py.Dataset, rows: int, width: int) -> Iterator[tuple[slice, np.ndarray]]:
    """(r, width) float32 pieces of about ``CHUNK_BYTES`` each, with where they lie.

    What is stored in chunks is read in whole ones: HDF5 would unpack a chunk anew for each piece of it.
    """
    row_bytes = max(1, width) * max(4, embedding.dtype.itemsize)
    step = rows_of_a_piece(row_bytes)
    block = step
    if embedding.chunks is not None and rows > 1:
        stored = embedding.chunks[-2] if embedding.ndim > 1 else embedding.chunks[0]
        block = max(stored, step // stored * stored)
        block = max(step, min(block, MAX_CHUNK // row_bytes))
    for start in range(0, rows, block):
        now.again()
        values = _rows(embedding, slice(start, min(start + block, rows)), width)
        for first in range(0, len(values), step):
            part = values[first : first + step]
            yield slice(start + first, start + first + len(part)), part


def gathered(tables: Iterable[ModalityTable], source: str) -> Iterator[ModalityTable]:
    """The same rows, small bags joined until a piece holds about ``CHUNK_BYTES``: many patients.

    Raises:
        DataError: for bags of different widths.
    """
    pending: list[ModalityTable] = []
    size = 0
    for table in tables:
        large = table.values.nbytes >= CHUNK_BYTES // 2  # not worth a copy
        if pending and (large or size >= CHUNK_BYTES):
            yield _joined(pending, source)
            pending, size = [], 0
        if large:
            yield table
        else:
            pending.append(table)
            size += table.values.nbytes
    if pending:
        yield _joined(pending, source)


def _joined(tables: list[ModalityTable], source: str) -> ModalityTable:
    widths = {table.values.shape[1] for table in tables}
    if len(widths) > 1:
        raise DataError(
            f"{source}: embeddings of {', '.join(str(w) for w in sorted(widths))} features in one "
            "modality; one width is needed."
        )
    if len(tables) == 1:
        return tables[0]

    def column(name: str) -> np.ndarray | None:
        parts = [getattr(table, name) for table in tables]
        if all(part is None for part in parts):
            return None
        filled = [np.ones(len(t.ids)) if p is None else p for t, p in zip(tables, parts, strict=True)]
        return np.concatenate(filled)

    return ModalityTable(
        ids=np.concatenate([table.ids for table in tables]),
        values=np.concatenate([table.values for table in tables]),
        weights=column("weights"),
        quality=column("quality"),
        features=tables[0].features,
        n_rows=column("n_rows"),
        patients=tables[0].patients,
    )


def _rows(embedding: h5py.Dataset, part: slice, width: int) -> np.ndarray:
    """(r, width) float32 of some rows, whatever the dataset's own shape."""
    if embedding.ndim == 1:
        values = embedding[part] if width == 1 else embedding[...]
    else:
        values = embedding[part] if embedding.ndim == 2 else embedding[0, part]
    with np.errstate(over="ignore"):  # a number too large for float32 becomes inf: not measured
        return np.asarray(values).reshape(-1, width).astype(np.float32, copy=False)
