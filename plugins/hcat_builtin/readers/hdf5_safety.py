"""HDF5 files are untrusted: nothing outside the file is followed, nothing huge is unpacked.

Every refusal names the file and the dataset, and happens before the dataset is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from hcat_core.errors import DataError

MAX_RATIO = 1100
"""Deflate packs zeros about 1,030 times; more than this is no compression but a bomb."""

SMALL = 1 << 20  # bytes; what unpacks to less cannot hurt
MAX_LINKS = 64  # soft links followed for one name


@contextmanager
def open_h5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises:
        DataError: for a file that is missing, unreadable, truncated or no HDF5.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file.")
    if path.is_dir():
        raise DataError(f"{path}: is a folder, an HDF5 file is needed here.")
    try:
        file = h5py.File(path, "r")
    except PermissionError:
        raise DataError(f"{path}: no permission to read it.") from None
    except OSError as error:
        reason = "it is truncated" if "truncated" in str(error) else "it is damaged or no HDF5 file"
        raise DataError(f"{path}: cannot be opened: {reason}. Copy or write it again.") from None
    with file:
        try:
            yield file
        except DataError:
            raise
        except (OSError, RuntimeError, KeyError) as error:
            # What h5py raises when the bytes inside are not what their headers say.
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{path}: damaged: {first}. Copy or write it again.") from None


def find_object(file: h5py.File, name: str) -> h5py.Dataset | h5py.Group | None:
    """The dataset or group called ``name``; None when there is none.

    Walks one path component at a time, through soft links too, so that no external link is followed.

    Raises:
        DataError: for an external link at any component, or soft links that go in a circle.
    """
    pending = [part for part in PurePosixPath(name).parts if part != "/"]
    node: h5py.Group = file
    links = 0
    while pending:
        part = pending.pop(0)
        if part == "..":
            raise DataError(f"{file.filename}: {name}: a link leads upwards; hcat does not follow it.")
        if not isinstance(node, h5py.Group):
            return None
        link = node.get(part, getlink=True)
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise DataError(
                f"{file.filename}: {name}: is a link to another file ({link.filename}). hcat reads "
                "nothing outside the file it was given: copy the data into it."
            )
        if isinstance(link, h5py.SoftLink):
            links += 1
            if links > MAX_LINKS:
                raise DataError(f"{file.filename}: {name}: its links go in a circle.")
            target = PurePosixPath(link.path)
            if target.is_absolute():
                node = file
            pending = [p for p in target.parts if p != "/"] + pending
            continue
        kind = node.get(part, getclass=True)
        if kind not in (h5py.Group, h5py.Dataset):
            raise DataError(f"{file.filename}: {name}: is a named type, not data.")
        node = node[part]
    return node


def refuse_unsafe(dataset: h5py.Dataset) -> None:
    """Stop at a dataset whose bytes are elsewhere, or whose size is not backed by what is stored.

    Raises:
        DataError: for external storage, virtual datasets, references and compound types, data never
            written, and a logical size over ``MAX_RATIO`` times the stored one.
    """
    where = f"{dataset.file.filename}: {dataset.name}"
    if dataset.is_virtual:
        raise DataError(f"{where}: is a virtual dataset, its data lies elsewhere. Copy the data in.")
    if dataset.external:
        raise DataError(
            f"{where}: keeps its data in another file ({dataset.external[0][0]}). Copy the data in."
        )
    kind = dataset.dtype.kind
    text = h5py.check_string_dtype(dataset.dtype) is not None
    if kind not in "biufSU" and not text:
        raise DataError(f"{where}: holds {dataset.dtype}, neither numbers nor text.")
    if dataset.size == 0 or dataset.shape is None:
        return
    logical = int(dataset.size) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    if stored == 0:
        raise DataError(f"{where}: {_size(dataset)} were announced and never written.")
    if logical > SMALL and logical > MAX_RATIO * stored:
        raise DataError(
            f"{where}: claims {_size(dataset)} ({logical:,} bytes) and stores {stored:,} bytes, "
            f"over {MAX_RATIO} times less. hcat does not unpack it."
        )


def refuse_not_numeric(dataset: h5py.Dataset) -> None:
    """Stop at an embedding that is no array of numbers.

    Raises:
        DataError: naming the type that was found.
    """
    if dataset.dtype.kind not in "biuf":
        raise DataError(
            f"{dataset.file.filename}: {dataset.name}: an embedding holds numbers, this holds "
            f"{'text' if h5py.check_string_dtype(dataset.dtype) else dataset.dtype}."
        )


def read_small(dataset: h5py.Dataset) -> np.ndarray:
    """A whole dataset that passes ``refuse_unsafe``: ids, labels, weights."""
    refuse_unsafe(dataset)
    return np.asarray(dataset[()])


def _size(dataset: h5py.Dataset) -> str:
    return " x ".join(f"{n:,}" for n in dataset.shape) + " values"
