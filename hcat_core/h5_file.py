"""HDF5 files that hcat writes: arrays by name, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from hcat_core.storage import written_whole


def write_h5(path: Path, data: Mapping[str, np.ndarray]) -> None:
    """A dataset for each array, at the top; arrays of objects are text."""
    with written_whole(path) as temporary, h5py.File(temporary, "w") as file:
        for name, values in data.items():
            dtype = h5py.string_dtype("utf-8") if values.dtype == object else values.dtype
            file.create_dataset(name, data=values, dtype=dtype)
