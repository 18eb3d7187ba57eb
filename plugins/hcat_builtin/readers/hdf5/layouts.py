"""The layout of an HDF5 file: where ids and embedding are, by the names that this field uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
from h5py import h5g

from hcat_builtin.readers.dataset_names import EMBEDDING_NAMES, ID_NAMES
from hcat_builtin.readers.hdf5.safety import find_object, follow, open_h5, text_attribute
from hcat_builtin.readers.isolation.progress import progress
from hcat_core.errors import DataError
from hcat_core.text.quoting import one_line
from hcat_core.text.spelling import did_you_mean

EMBEDDING_PATTERN = re.compile(r"(?:[a-z0-9]+_)*(?:embeddings?|features?|feats)(?:_mean)?(?:_[0-9]+)?")
NOT_EMBEDDING = ("feature_names", "features_names")
ANNOTATED = {"anndata": "h5ad", "MuData": "h5mu"}
MAX_OBJECTS = 1_000_000
MAX_DEPTH = 16


@dataclass(frozen=True)
class DatasetInfo:
    """Name, shape and type of one dataset, known without reading its data."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    def __str__(self) -> str:
        return f"{one_line(self.name, 80)} {'x'.join(map(str, self.shape)) or 'scalar'} {self.dtype}"


@dataclass(frozen=True)
class FlatLayout:
    """Names of the datasets of ids and of the embedding in a flat file; ``patient_id`` None: no ids."""

    patient_id: str | None
    embedding: str


def read_all_datasets_from_h5(path: Path) -> dict[str, DatasetInfo]:
    """Every dataset of a file by its full name, in file order; no data is read.

    Raises:
        DataError: for a file that cannot be opened, or that has a link to another file.
    """
    with open_h5(path) as file:
        return describe_datasets(file)


def describe_datasets(file: h5py.File) -> dict[str, DatasetInfo]:
    """``read_all_datasets_from_h5`` of an open file.

    Groups are listed ``MAX_DEPTH`` levels deep, and not through soft links. Of a group with several names
    the groups in it are listed under the first one only: a file can name few groups in very many ways.

    Raises:
        DataError: for more than ``MAX_OBJECTS`` names, or a group that contains itself.
    """
    datasets: dict[str, DatasetInfo] = {}
    listed = {_identity(file)}
    # Names, not open groups: HDF5 becomes slower with each object that is kept open.
    pending: list[tuple[str, tuple[object, ...], bool]] = [("", (_identity(file),), True)]
    seen = 0
    while pending:
        prefix, above, deeper = pending.pop()
        group = file if not prefix else h5py.Group(h5g.open(file.id, _encoded(prefix)))
        inner = []
        for key in group:
            seen += 1
            if seen > MAX_OBJECTS:
                raise DataError(f"{file.filename}: holds more than {MAX_OBJECTS:,} objects.")
            name = f"{prefix}/{key}" if prefix else key
            progress.start_dataset(name)
            child = follow(group, key, name)
            hard = not isinstance(child, PurePosixPath)
            if not hard:
                child = find_object(file, name)
            if isinstance(child, h5py.Dataset):
                datasets[name] = DatasetInfo(
                    name, (0,) if child.shape is None else child.shape, _dtype(child)
                )
            elif isinstance(child, h5py.Group) and hard and deeper and len(above) < MAX_DEPTH:
                identity = _identity(child)
                if identity in above:
                    raise DataError(f"{file.filename}: {name}: is a group that contains itself: damaged.")
                inner.append((name, (*above, identity), identity not in listed))
                listed.add(identity)
        pending += reversed(inner)
    return datasets


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _identity(group: h5py.Group) -> object:
    """A value that is equal for two names of one group."""
    return h5py.h5o.get_info(group.id).addr


def _dtype(dataset: h5py.Dataset) -> np.dtype:
    """A dataset's type; ``object`` for one that numpy does not have."""
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
) -> FlatLayout | None:
    """Choose the datasets of ids and of the embedding by name; None when no name fits an embedding.

    Args:
        datasets: names, as in ``read_all_datasets_from_h5``.
        source: the file, for messages.
        patient_id: the name of the ids, where the user gave one.
        embedding: the name of the embedding, where the user gave one.

    Raises:
        DataError: for a given name that is not in the file, or several possible embeddings.
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
                f'Name one in the recipe: embedding = "{fits[0]}".'
            )
        embedding = fits[0] if fits else None
    return None if embedding is None else FlatLayout(ids, embedding)


def nothing_usable(source: str, datasets: Mapping[str, DatasetInfo]) -> DataError:
    """The error for a file without an embedding: what it holds, and what was looked for."""
    contents = [str(info) for info in list(datasets.values())[:20]]
    more = f", and {len(datasets) - 20} more" if len(datasets) > 20 else ""
    return DataError(
        f"{source}: no embedding found. It holds {', '.join(contents) or 'no datasets'}{more}. Looked for "
        f"ids under {', '.join(ID_NAMES[:3])} and an embedding under {', '.join(EMBEDDING_NAMES)}, or "
        "one group per patient. Name yours in the recipe: patient_id = ..., embedding = ..."
    )


def group_per_patient(file: h5py.File, datasets: Mapping[str, DatasetInfo]) -> dict[str, str] | None:
    """Patient id -> embedding dataset, in a file with one group per patient; None for other files.

    The groups lie at the top, or in one group of any name.
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


def dataset_per_patient(file: h5py.File, datasets: Mapping[str, DatasetInfo]) -> dict[str, str] | None:
    """Slide or patient -> its dataset, in a file as STAMP 2.0 wrote it; None for other files.

    STAMP names its encoder in the file's attributes; the file has one array per slide or patient.
    """
    if text_attribute(file, "encoder") is None or text_attribute(file, "version") is None:
        return None
    widths = {info.shape[-1:] for info in datasets.values()}
    fits = all("/" not in name and info.dtype.kind == "f" for name, info in datasets.items())
    return {name: name for name in datasets} if fits and len(widths) == 1 and widths != {()} else None


def refuse_annotated(file: h5py.File) -> None:
    """Refuse an AnnData or MuData file, which has a reader of its own.

    Raises:
        DataError: naming that reader.
    """
    kind = text_attribute(file, "encoding-type")
    if kind in ANNOTATED:
        raise DataError(
            f'{file.filename}: is {kind}. Name its reader in the recipe: use = "{ANNOTATED[kind]}".'
        )
