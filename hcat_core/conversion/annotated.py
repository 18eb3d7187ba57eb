"""A cohort as AnnData (``.h5ad``, one file per modality) or MuData (``.h5mu``, one file for all).

The files are written with h5py, following the description of the formats: mudata drops patients without any
modality and reorders the others (ADR 12, ADR 31). Tests read them with anndata and mudata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from hcat_core import __version__
from hcat_core.conversion.content import Content, ModalityRows
from hcat_core.reading import COUNT_COLUMN, QUALITY_COLUMN
from hcat_core.storage.h5_file import new_h5

TEXT = h5py.string_dtype("utf-8")
USER_BLOCK = 512


def write_h5ad_folder(folder: Path, content: Content) -> None:
    """``NAME.h5ad`` for each modality; ``outcomes.h5ad`` has all patients in ``obs`` and no matrix."""
    for rows in content.modalities:
        with new_h5(folder / f"{rows.name}.h5ad") as file:
            _write_modality(file, content, rows)
    if content.outcomes:
        with new_h5(folder / "outcomes.h5ad") as file:
            _encode(file, "anndata", "0.1.0")
            _write_frame(file, "obs", content.ids, content.outcomes)
            _write_frame(file, "var", [], {})


def write_h5mu(path: Path, content: Content) -> None:
    """All patients and outcomes in ``obs``; ``obsmap`` gives their row in each modality, or 0 for none."""
    features = [name for rows in content.modalities for name in rows.features]
    with new_h5(path, userblock_size=USER_BLOCK) as file:
        _encode(file, "MuData", "0.1.0")
        file.attrs["axis"] = 0
        _write_frame(file, "obs", content.ids, content.outcomes)
        _write_frame(file, "var", features, {})
        maps = {"obsmap": len(content.ids), "varmap": len(features)}
        groups = {name: _encode(file.create_group(name), "dict", "0.1.0") for name in maps}
        mod = file.create_group("mod")
        mod.attrs["mod-order"] = [rows.name for rows in content.modalities]
        first = 0
        for rows in content.modalities:
            _write_modality(mod.create_group(rows.name), content, rows)
            columns = np.arange(first, first + len(rows.features))
            first += len(rows.features)
            for name, members in (("obsmap", rows.patients), ("varmap", columns)):
                numbers = np.zeros(maps[name], np.uint32)
                numbers[members] = np.arange(1, len(members) + 1)
                _write_array(groups[name], rows.name, numbers)
    text = f"MuData (format-version=0.1.0;creator=hcat;creator-version={__version__})".encode()
    with path.open("r+b") as raw:
        raw.write(text.ljust(USER_BLOCK, b"\0"))


def _write_modality(group: h5py.Group, content: Content, rows: ModalityRows) -> None:
    _encode(group, "anndata", "0.1.0")
    _write_array(group, "X", rows.values)
    columns = {QUALITY_COLUMN: rows.quality, COUNT_COLUMN: rows.n_rows}
    _write_frame(group, "obs", content.ids[rows.patients], columns)
    _write_frame(group, "var", rows.features, {})


def _write_frame(
    group: h5py.Group, name: str, index: Sequence[str] | np.ndarray, columns: Mapping[str, np.ndarray]
) -> None:
    frame = _encode(group.create_group(name), "dataframe", "0.2.0")
    frame.attrs["_index"] = "_index"
    frame.attrs.create("column-order", list(columns), shape=(len(columns),), dtype=TEXT)
    _write_array(frame, "_index", np.array(index, dtype=object))
    for column, values in columns.items():
        _write_array(frame, column, values)


def _write_array(group: h5py.Group, name: str, values: np.ndarray) -> None:
    text = values.dtype == object
    dataset = group.create_dataset(name, data=values, dtype=TEXT if text else values.dtype)
    _encode(dataset, "string-array" if text else "array", "0.2.0")


def _encode(node: h5py.Group | h5py.Dataset, kind: str, version: str) -> h5py.Group:
    node.attrs["encoding-type"] = kind
    node.attrs["encoding-version"] = version
    return node
