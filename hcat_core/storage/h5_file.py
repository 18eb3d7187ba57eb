"""Write HDF5 files: they are built in memory and then written as ordinary files."""

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
    """Give an HDF5 file to fill, which is written to ``path`` at the end.

    On a full disk the HDF5 library itself would lose data without an error, or crash.

    Args:
        path: the file to write.
        options: those of ``h5py.File``.

    Raises:
        OSError: when the disk is full or not writable.
    """
    content = io.BytesIO()
    with h5py.File(content, "w", **options) as file:
        yield file
    path.write_bytes(content.getbuffer())


def fill_h5(file: h5py.File, data: Mapping[str, np.ndarray]) -> None:
    """Write each array as a dataset at the top level; arrays of objects are strings."""
    for name, values in data.items():
        dtype = h5py.string_dtype("utf-8") if values.dtype == object else values.dtype
        file.create_dataset(name, data=values, dtype=dtype)


def write_h5(
    path: Path, data: Mapping[str, np.ndarray], attributes: Mapping[str, str | float] | None = None
) -> None:
    """Write an HDF5 file atomically, with each array as a dataset at the top level.

    Args:
        path: the file to write.
        data: the arrays by name.
        attributes: of the file.

    Raises:
        StorageError: when the disk is full or not writable.
    """
    with atomic_write(path) as temporary, new_h5(temporary) as file:
        fill_h5(file, data)
        file.attrs.update(attributes or {})
