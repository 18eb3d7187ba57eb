"""HDF5 files that hcat writes: arrays by name, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from hcat_core.checkpoint import replace_synced


def write_h5(path: Path, data: Mapping[str, np.ndarray]) -> None:
    """A dataset for each array, at the top; arrays of objects are text."""
    temporary = path.with_name(f".{path.name}.partial")
    with h5py.File(temporary, "w") as file:
        for name, values in data.items():
            dtype = h5py.string_dtype("utf-8") if values.dtype == object else values.dtype
            file.create_dataset(name, data=values, dtype=dtype)
    replace_synced(temporary, path)
