"""An embedding dataset: its checks, its size, and its rows in chunks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np

from hcat_builtin.readers.chunks import rows_per_chunk
from hcat_builtin.readers.hdf5.packed_chunks import read_values
from hcat_builtin.readers.hdf5.safety import find_object, refuse_not_numeric, refuse_unsafe
from hcat_builtin.readers.hdf5.size_limits import MAX_CHUNK
from hcat_builtin.readers.isolation.progress import progress
from hcat_core.errors import DataError


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


def row_chunks(embedding: h5py.Dataset, rows: int, width: int) -> Iterator[tuple[slice, np.ndarray]]:
    """(r, width) float32 chunks of about 4 MiB, each with the slice of rows that it holds.

    A dataset stored in HDF5 chunks is read in whole ones: HDF5 would unpack one again for each part of it.
    """
    row_bytes = max(1, width) * max(4, embedding.dtype.itemsize)
    step = rows_per_chunk(row_bytes)
    block = step
    if embedding.chunks is not None and rows > 1:
        stored = embedding.chunks[-2] if embedding.ndim > 1 else embedding.chunks[0]
        block = max(stored, step // stored * stored)
        block = max(step, min(block, MAX_CHUNK // row_bytes))
    for start in range(0, rows, block):
        progress.step()
        values = _rows(embedding, slice(start, min(start + block, rows)), width)
        for first in range(0, len(values), step):
            part = values[first : first + step]
            yield slice(start + first, start + first + len(part)), part


def _rows(embedding: h5py.Dataset, part: slice, width: int) -> np.ndarray:
    """(r, width) float32 of some rows, whatever the dataset's own shape."""
    if embedding.ndim == 1 and width > 1:
        part = slice(None)
    values = read_values(embedding, part, axis=1 if embedding.ndim == 3 else 0)
    with np.errstate(over="ignore"):  # a number too large for float32 becomes inf: not measured
        return values.reshape(-1, width).astype(np.float32, copy=False)
