"""Ids, weights, quality and feature names that an HDF5 file holds beside its embedding."""

from __future__ import annotations

import json
from collections.abc import Mapping

import h5py
import numpy as np

from hcat_builtin.readers.dataset_names import WEIGHT_NAMES
from hcat_builtin.readers.hdf5.safety import find_object, read_attribute, read_small, refuse_not_numeric
from hcat_builtin.readers.patch_counts import weights_within_slide
from hcat_core.errors import DataError
from hcat_core.text.quoting import one_line


def row_ids(file: h5py.File, name: str, rows: int) -> np.ndarray:
    """(R,) raw ids of the rows, from a dataset of ids or from a ``patient_index_map``.

    A map is a dataset of ids in row order, a JSON text, or a group; the last two give id -> row or rows.

    Raises:
        DataError: unless there is one id per row.
    """
    node = find_object(file, name)
    source = file.filename
    if isinstance(node, h5py.Group):
        mapping = {}
        for key in node:
            child = find_object(file, f"{name}/{key}")
            if isinstance(child, h5py.Dataset):
                mapping[key] = read_small(child).reshape(-1).tolist()
        return _ids_from_map(mapping, rows, source, name)
    assert isinstance(node, h5py.Dataset)
    raw = read_small(node)
    if raw.shape == () and (rows != 1 or _is_json(raw)):
        try:
            mapping = json.loads(raw.item())
        except (TypeError, ValueError, RecursionError):
            raise DataError(f"{source}: {name}: one id for {rows} rows.") from None
        if isinstance(mapping, list):
            raw = _ids_from_list(mapping, source, name)
        elif isinstance(mapping, dict):
            return _ids_from_map(mapping, rows, source, name)
    raw = raw.reshape(-1) if raw.ndim == 0 or raw.size == raw.shape[0] else raw
    if raw.ndim != 1 or len(raw) != rows:
        raise DataError(
            f"{source}: {name} holds {raw.shape[0]} ids and the embedding {rows} rows; "
            "one id per row is needed."
        )
    return raw


def per_row(file: h5py.File, names: tuple[str, ...], rows: int) -> np.ndarray | None:
    """(R,) numbers of the first dataset of ``names`` that exists: one for all rows, one per row, or (R, k).

    Of (R, k) the mean over k is taken.

    Raises:
        DataError: for another number of rows.
    """
    values = _numbers(file, names, rows)
    return np.full(rows, values[0]) if values is not None and len(values) == 1 else values


def member_weights(file: h5py.File, names: tuple[str, ...], rows: int) -> np.ndarray | None:
    """(R,) weights of the rows of one slide or patient; see ``weights_within_slide`` of ``n_patches``.

    Raises:
        DataError: as ``per_row``.
    """
    if not all(name.rpartition("/")[2] in WEIGHT_NAMES for name in names):
        return per_row(file, names, rows)
    counts = _numbers(file, names, rows)
    return None if counts is None else weights_within_slide(counts, rows)


def _numbers(file: h5py.File, names: tuple[str, ...], rows: int) -> np.ndarray | None:
    """(1,) or (R,) numbers of the first dataset of ``names`` that exists."""
    for name in names:
        node = find_object(file, name)
        if not isinstance(node, h5py.Dataset):
            continue
        refuse_not_numeric(node)
        values = np.asarray(read_small(node), np.float64)
        if values.size == 1:
            return values.reshape(1)
        if values.shape[0] != rows:
            raise DataError(f"{file.filename}: {name} has {values.shape[0]} rows and the embedding {rows}.")
        return np.asarray(values.reshape(rows, -1).mean(axis=1))
    return None


def feature_names(file: h5py.File, embedding: h5py.Dataset, width: int) -> tuple[str, ...]:
    """Names of the embedding's columns, from beside it, its attribute or the top of the file.

    Returns:
        (): unless there is one name per column.
    """
    group = str(embedding.name).strip("/").rpartition("/")[0]
    places = [f"{group}/feature_names"] if group else []
    found = (find_object(file, place) for place in (*places, "feature_names"))
    node = next((one for one in found if one is not None), None)
    raw: object = None
    if isinstance(node, h5py.Dataset):
        raw = read_small(node)
    else:
        raw = read_attribute(embedding, "feature_names")
    if raw is None:
        return ()
    names = np.asarray(raw).reshape(-1).tolist()
    if len(names) != width:
        return ()
    return tuple(one_line(n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n)) for n in names)


def _is_json(raw: np.ndarray) -> bool:
    text = raw.item()
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return text.lstrip()[:1] in ("{", "[")


def _ids_from_list(listed: list[object], source: str, name: str) -> np.ndarray:
    """(R,) ids of a JSON list: text or numbers, since True equals 1, and lists and objects are no ids."""
    if not set(map(type, listed)) <= {str, int, float}:
        row = next(row for row, one in enumerate(listed) if type(one) not in (str, int, float))
        raise DataError(
            f"{source}: {name}: row {row} is {json.dumps(listed[row])[:60]}, no patient id. "
            "Each row needs a text or a number."
        )
    ids = np.empty(len(listed), dtype=object)
    ids[:] = listed
    return ids


def _ids_from_map(mapping: Mapping[str, object], rows: int, source: str, name: str) -> np.ndarray:
    ids = np.full(rows, None, dtype=object)
    for patient, places in mapping.items():
        for place in places if isinstance(places, list) else [places]:
            if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < rows:
                raise DataError(
                    f"{source}: {name} maps a patient to row {place!r}; there are rows 0 to {rows - 1}."
                )
            if ids[place] is not None:
                raise DataError(f"{source}: {name} gives row {place} to two patients.")
            ids[place] = patient
    missing = sum(i is None for i in ids)
    if missing:
        raise DataError(f"{source}: {name} names no patient for {missing} of {rows} rows.")
    return ids
