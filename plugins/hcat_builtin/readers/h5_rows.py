"""The rows of an embedding dataset, in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterator

import h5py
import numpy as np

from hcat_builtin.readers.hdf5_board import now
from hcat_builtin.readers.hdf5_sizes import MAX_CHUNK
from hcat_core.errors import DataError
from hcat_core.reading import ModalityTable

CHUNK_BYTES = 4 << 20


def row_pieces(embedding: h5py.Dataset, rows: int, width: int) -> Iterator[tuple[slice, np.ndarray]]:
    """(r, width) float32 pieces of about ``CHUNK_BYTES`` each, with where they lie.

    What is stored in chunks is read in whole ones: HDF5 would unpack a chunk anew for each piece of it.
    """
    row_bytes = max(1, width) * max(4, embedding.dtype.itemsize)
    step = max(1, CHUNK_BYTES // row_bytes)
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


def joined(tables: list[ModalityTable], source: str) -> ModalityTable:
    """Bags of several patients as one piece.

    Raises:
        DataError: for bags of different widths.
    """
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
    )


def _rows(embedding: h5py.Dataset, part: slice, width: int) -> np.ndarray:
    """(r, width) float32 of some rows, whatever the dataset's own shape."""
    if embedding.ndim == 1:
        values = embedding[part] if width == 1 else embedding[...]
    else:
        values = embedding[part] if embedding.ndim == 2 else embedding[0, part]
    with np.errstate(over="ignore"):  # a number too large for float32 becomes inf: not measured
        return np.asarray(values).reshape(-1, width).astype(np.float32, copy=False)
