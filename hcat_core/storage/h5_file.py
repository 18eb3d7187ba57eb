"""HDF5 files that hcat writes: made in memory, then written the ordinary way."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hcat_core.storage.atomic_files import atomic_write


@contextmanager
def new_h5(path: Path, **options: Any) -> Iterator[h5py.File]:
    """An HDF5 file to fill, written to ``path`` at the end; ``options`` are those of ``h5py.File``.

    On a full disk the HDF5 library loses what it still had to write without an error, or crashes.

    Raises:
        OSError: when the disk takes no more.
    """
    content = io.BytesIO()
    with h5py.File(content, "w", **options) as file:
        yield file
    path.write_bytes(content.getbuffer())


def fill_h5(file: h5py.File, data: Mapping[str, np.ndarray]) -> None:
    """A dataset for each array, at the top; arrays of objects are text."""
    for name, values in data.items():
        dtype = h5py.string_dtype("utf-8") if values.dtype == object else values.dtype
        file.create_dataset(name, data=values, dtype=dtype)


def write_h5(path: Path, data: Mapping[str, np.ndarray]) -> None:
    """A dataset for each array, at the top, written whole or not at all.

    Raises:
        StorageError: when the disk takes no more.
    """
    with atomic_write(path) as temporary, new_h5(temporary) as file:
        fill_h5(file, data)
