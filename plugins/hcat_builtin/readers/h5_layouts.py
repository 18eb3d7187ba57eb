"""What is where in an HDF5 file: ids, embedding, quality, weights, by the names the field uses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from hcat_builtin.readers.hdf5_board import now
from hcat_builtin.readers.hdf5_safety import (
    find_object,
    follow,
    open_h5,
    read_attribute,
    read_small,
    refuse_not_numeric,
    refuse_unsafe,
)
from hcat_core.errors import DataError
from hcat_core.printable import printable
from hcat_core.spelling import did_you_mean

ID_NAMES = (
    "patient_id",
    "patient_ids",
    "patient_index_map",
    "pid",
    "pids",
    "case_id",
    "case_ids",
    "ids",
)
EMBEDDING_NAMES = (
    "embedding",
    "embeddings",
    "embedding_512",
    "embedding_mean_512",
    "text_combined_embedding_512",
    "features_mean",
    "features",
    "feature",
    "feats",
)
EMBEDDING_PATTERN = re.compile(r"(?:[a-z0-9]+_)*(?:embeddings?|features?|feats)(?:_mean)?(?:_[0-9]+)?")
NOT_EMBEDDING = ("feature_names", "features_names")
QUALITY_NAMES = ("quality", "quality_score", "quality_scores")
WEIGHT_NAMES = ("n_patches",)
MAX_OBJECTS = 1_000_000
MAX_DEPTH = 16


@dataclass(frozen=True)
class DatasetInfo:
    """What a file says about one dataset, without reading it."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def __str__(self) -> str:
        return f"{printable(self.name, 80)} {'x'.join(map(str, self.shape)) or 'scalar'} {self.dtype}"


@dataclass(frozen=True)
class Found:
    """Names of the id and the embedding dataset of a flat file; an id of None: there is none."""

    patient_id: str | None
    embedding: str


def read_all_datasets_from_h5(path: Path) -> dict[str, DatasetInfo]:
    """Every dataset of a file by its full name, in file order; reads no data.

    Raises:
        DataError: for a file that cannot be opened, or that links outside itself anywhere.
    """
    with open_h5(path) as file:
        return describe_datasets(file)


def describe_datasets(file: h5py.File) -> dict[str, DatasetInfo]:
    """``read_all_datasets_from_h5`` of a file that is open.

    Groups are looked into where they lie, not through soft links, ``MAX_DEPTH`` levels deep.
    """
    found: dict[str, DatasetInfo] = {}
    pending: list[tuple[str, h5py.Group, tuple[object, ...]]] = [("", file, (_identity(file),))]
    seen = 0
    while pending:
        prefix, group, above = pending.pop()
        inner = []
        for key in group:
            seen += 1
            if seen > MAX_OBJECTS:
                raise DataError(f"{file.filename}: holds more than {MAX_OBJECTS:,} objects.")
            name = f"{prefix}/{key}" if prefix else key
            now.tell(name)
            child = follow(group, key, name)
            hard = not isinstance(child, PurePosixPath)
            if not hard:
                child = find_object(file, name)
            if isinstance(child, h5py.Dataset):
                found[name] = DatasetInfo(name, (0,) if child.shape is None else child.shape, _dtype(child))
            elif isinstance(child, h5py.Group) and hard and len(above) < MAX_DEPTH:
                identity = _identity(child)
                if identity in above:
                    raise DataError(f"{file.filename}: {name}: is a group inside itself: damaged.")
                inner.append((name, child, (*above, identity)))
        pending += reversed(inner)
    return found


def _identity(group: h5py.Group) -> object:
    """The same for two names of one group."""
    return h5py.h5o.get_info(group.id).addr


def _dtype(dataset: h5py.Dataset) -> np.dtype:
    """A dataset's type; ``object`` for one that numpy has no word for."""
    try:
        dtype: np.dtype = dataset.dtype
    except (TypeError, ValueError):
        return np.dtype(object)
    return dtype


def find_patientid_and_embedding(
    datasets: Iterable[str],
    *,
    source: str,
    patient_id: str | None = None,
    embedding: str | None = None,
) -> Found | None:
    """Choose the id and the embedding dataset by name; None when the names tell nothing.

    Args:
        datasets: names, as in ``read_all_datasets_from_h5``.
        source: the file, for messages.
        patient_id: taken as it is, when given.
        embedding: taken as it is, when given.

    Raises:
        DataError: when a name that was given is not in the file, or several embeddings fit.
    """
    names = list(datasets)
    top = [name for name in names if "/" not in name]
    for asked in (patient_id, embedding):
        if asked is not None and asked not in names:
            raise DataError(f'{source}: has no dataset "{asked}".{did_you_mean(asked, names)}')
    ids = patient_id or next((name for name in ID_NAMES if name in top), None)
    if embedding is None:
        embedding = next((name for name in EMBEDDING_NAMES if name in top), None)
    if embedding is None:
        fits = [n for n in top if EMBEDDING_PATTERN.fullmatch(n.lower()) and n not in NOT_EMBEDDING]
        if len(fits) > 1:
            raise DataError(
                f"{source}: {', '.join(fits)} may each be the embedding. "
                f'Say which in the recipe: embedding = "{fits[0]}".'
            )
        embedding = fits[0] if fits else None
    return None if embedding is None else Found(ids, embedding)


def nothing_usable(source: str, datasets: Mapping[str, DatasetInfo]) -> DataError:
    """The error of a file that says nothing usable: what it holds, and what was looked for."""
    held = [str(info) for info in list(datasets.values())[:20]]
    more = f", and {len(datasets) - 20} more" if len(datasets) > 20 else ""
    return DataError(
        f"{source}: no embedding found. It holds {', '.join(held) or 'no datasets'}{more}. Looked for "
        f"ids under {', '.join(ID_NAMES[:3])} and an embedding under {', '.join(EMBEDDING_NAMES)}, or "
        "one group per patient. Name yours in the recipe: patient_id = ..., embedding = ..."
    )


def group_per_patient(file: h5py.File, datasets: Mapping[str, DatasetInfo]) -> dict[str, str] | None:
    """Patient id -> embedding dataset, where each patient is a group (or a dataset); None otherwise.

    The groups may lie at the top, or in one group of any name.
    """
    by_parent: dict[str, dict[str, str]] = {}
    for name in datasets:
        parent, _, leaf = name.rpartition("/")
        if parent and (leaf in EMBEDDING_NAMES or EMBEDDING_PATTERN.fullmatch(leaf.lower())):
            if leaf in NOT_EMBEDDING:
                continue
            grandparent, _, patient = parent.rpartition("/")
            by_parent.setdefault(grandparent, {}).setdefault(patient, name)
    if len(by_parent) != 1:
        return None
    return next(iter(by_parent.values()))


def row_ids(file: h5py.File, name: str, rows: int) -> np.ndarray:
    """(R,) raw ids of the rows: a dataset of ids, or a ``patient_index_map`` of any of its kinds.

    A map is a dataset of ids in row order, a JSON text, or a group: id -> row, or id -> rows.

    Raises:
        DataError: for ids that are not one a row.
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
        except (TypeError, ValueError):
            raise DataError(f"{source}: {name}: one id for {rows} rows.") from None
        if isinstance(mapping, list):
            raw = np.array(mapping, dtype=object)
        elif isinstance(mapping, dict):
            return _ids_from_map(mapping, rows, source, name)
    raw = raw.reshape(-1) if raw.ndim == 0 or raw.size == raw.shape[0] else raw
    if raw.ndim != 1 or len(raw) != rows:
        raise DataError(
            f"{source}: {name} holds {raw.shape[0]} ids and the embedding {rows} rows; "
            "one id a row is needed."
        )
    return raw


def per_row(file: h5py.File, names: tuple[str, ...], rows: int) -> np.ndarray | None:
    """(R,) numbers of the first of ``names`` that is there: a scalar for all, one a row, or (R, k).

    Raises:
        DataError: for another number of rows.
    """
    for name in names:
        node = find_object(file, name)
        if not isinstance(node, h5py.Dataset):
            continue
        refuse_not_numeric(node)
        values = np.asarray(read_small(node), np.float64)
        if values.size == 1:
            return np.full(rows, values.reshape(-1)[0])
        if values.shape[0] != rows:
            raise DataError(f"{file.filename}: {name} has {values.shape[0]} rows and the embedding {rows}.")
        return np.asarray(values.reshape(rows, -1).mean(axis=1))
    return None


def feature_names(file: h5py.File, embedding: h5py.Dataset, width: int) -> tuple[str, ...]:
    """Names of the columns, where the file has as many as columns; () otherwise."""
    node = find_object(file, "feature_names")
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
    return tuple(printable(n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n)) for n in names)


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


def _is_json(raw: np.ndarray) -> bool:
    text = raw.item()
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return text.lstrip()[:1] in ("{", "[")


def _ids_from_map(mapping: Mapping[str, object], rows: int, source: str, name: str) -> np.ndarray:
    ids = np.full(rows, None, dtype=object)
    for patient, places in mapping.items():
        for place in places if isinstance(places, list) else [places]:
            if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < rows:
                raise DataError(
                    f"{source}: {name} sends a patient to row {place!r}; there are rows 0 to {rows - 1}."
                )
            if ids[place] is not None:
                raise DataError(f"{source}: {name} gives row {place} to two patients.")
            ids[place] = patient
    missing = sum(i is None for i in ids)
    if missing:
        raise DataError(f"{source}: {name} names no patient for {missing} of {rows} rows.")
    return ids
