"""Checks of untrusted HDF5 files: no link to another file is followed, nothing huge is unpacked.

A refused file is named with the dataset, before the dataset is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5t

from hcat_builtin.readers.hdf5.open_error import open_error
from hcat_builtin.readers.hdf5.packed_chunks import read_values, refuse_wrong_chunks
from hcat_builtin.readers.hdf5.size_limits import count_unpacked, forget_unpacked, refuse_oversized
from hcat_builtin.readers.hdf5.userblock import refuse_second_file
from hcat_builtin.readers.isolation.progress import progress
from hcat_builtin.readers.plain_file import require_plain_file
from hcat_core.errors import DataError

MAX_ATTRIBUTE = 64 << 20
MAX_LINKS = 64  # soft links that are followed for one name
TEXT_BLOCK = 1024  # values of a text dataset that are read at a time
KINDS = {
    h5t.COMPOUND: "compound records",
    h5t.REFERENCE: "references",
    h5t.ENUM: "values of an enumeration",
    h5t.BITFIELD: "bit fields",
    h5t.OPAQUE: "opaque bytes",
    h5t.VLEN: "lists of any length",
    h5t.ARRAY: "arrays",
    h5t.TIME: "times of an old kind",
}
DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError, SystemError)
"""What h5py raises for a file whose bytes contradict their headers."""


@contextmanager
def open_h5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises:
        DataError: for a file that is missing, unreadable, truncated, not HDF5, or with other data in front.
    """
    require_plain_file(path, "an HDF5 file")
    progress.start_file(str(path))
    try:
        file = h5py.File(path, "r")
    except DAMAGE as error:
        raise open_error(path, error) from None
    with file:
        try:
            forget_unpacked()
            refuse_second_file(path, file)
            yield file
        except DataError:
            raise
        except DAMAGE as error:
            dataset = progress.read()[2]
            where = f"{path}: {dataset}" if dataset else str(path)
            message = str(error.args[0]) if error.args else ""
            reason = message.splitlines()[0] if message else type(error).__name__
            raise DataError(f"{where}: damaged: {reason}. Copy or write it again.") from error


def find_object(file: h5py.File, name: str) -> h5py.Dataset | h5py.Group | None:
    """The dataset or group called ``name``; None when there is none.

    The path is walked one component at a time, also through soft links, so that no external link is used.

    Raises:
        DataError: for an external link at any component, a link upwards, or soft links in a circle.
    """
    progress.start_dataset(name)
    pending = [part for part in PurePosixPath(name).parts if part != "/"]
    node: h5py.Dataset | h5py.Group = file
    links = 0
    while pending:
        part = pending.pop(0)
        if part == "..":
            raise DataError(f"{file.filename}: {name}: a link leads upwards; hcat does not follow it.")
        if not isinstance(node, h5py.Group):
            return None
        step = follow(node, part, name)
        if step is None:
            return None
        if isinstance(step, PurePosixPath):
            links += 1
            if links > MAX_LINKS:
                raise DataError(f"{file.filename}: {name}: its links go in a circle.")
            if step.is_absolute():
                node = file
            pending = [p for p in step.parts if p != "/"] + pending
            continue
        node = step
    return node


def follow(group: h5py.Group, part: str, name: str) -> h5py.Dataset | h5py.Group | PurePosixPath | None:
    """Where one name in a group leads: to an object, to the path of a soft link, or nowhere (None).

    ``name`` is the full name, for messages.

    Raises:
        DataError: for an external link or a named type.
    """
    key = part.encode("utf-8", "surrogateescape")
    links = group.id.links
    if not links.exists(key):
        return None
    kind = links.get_info(key).type
    if kind == h5l.TYPE_HARD:
        target = h5o.open(group.id, key)
        if isinstance(target, h5d.DatasetID):
            return h5py.Dataset(target)
        if isinstance(target, h5g.GroupID):
            return h5py.Group(target)
    elif kind == h5l.TYPE_SOFT:
        return PurePosixPath(links.get_val(key).decode("utf-8", "surrogateescape"))
    where = f"{group.file.filename}: {name}"
    if kind == h5l.TYPE_HARD:
        raise DataError(f"{where}: is a named type, not data.")
    if kind != h5l.TYPE_EXTERNAL:
        raise DataError(f"{where}: is a link of a kind that hcat does not know.")
    other = links.get_val(key)[0].decode("utf-8", "replace")
    raise DataError(
        f"{where}: is a link to another file ({other}). hcat reads nothing outside the file it was "
        "given: copy the data into it."
    )


def refuse_unsafe(dataset: h5py.Dataset) -> None:
    """Refuse a dataset whose bytes lie outside the file, or that claims far more than the file stores.

    Call it once before each read: it counts the bytes that have been unpacked of the file.

    Raises:
        DataError: for external storage, virtual datasets, types other than numbers and text, filters that
            are not part of HDF5, data never written, and what unpacks to more than ``MAX_RATIO`` times the
            stored bytes, alone or with all that was read before.
    """
    progress.start_dataset(_name(dataset))
    where = f"{dataset.file.filename}: {_name(dataset)}"
    if dataset.is_virtual:
        raise DataError(f"{where}: is a virtual dataset, its data is in another place. Copy the data in.")
    if dataset.external:
        raise DataError(
            f"{where}: keeps its data in another file ({dataset.external[0][0]}). Copy the data in."
        )
    _refuse_type(dataset.id.get_type(), where)
    if dataset.shape is None or 0 in dataset.shape:
        return
    refuse_oversized(dataset, where)


def refuse_not_numeric(dataset: h5py.Dataset) -> None:
    """Refuse a dataset that holds anything but numbers.

    Raises:
        DataError: naming what it holds.
    """
    where = f"{dataset.file.filename}: {_name(dataset)}"
    _refuse_type(dataset.id.get_type(), where)
    if dataset.dtype.kind not in "biuf":
        raise DataError(f"{where}: holds text; numbers are needed here.")


def read_small(dataset: h5py.Dataset) -> np.ndarray:
    """All values of a dataset of ids, labels or weights, after ``refuse_unsafe``.

    Raises:
        DataError: as ``refuse_unsafe``; for a dataset without a shape; for text that unpacks to too much.
    """
    refuse_unsafe(dataset)
    if dataset.shape is None:
        raise DataError(f"{dataset.file.filename}: {_name(dataset)}: is empty.")
    text = h5py.check_string_dtype(dataset.dtype)
    if dataset.ndim == 0 or text is None or text.length is not None:
        return read_values(dataset)
    # Many values can point at one long text: its bytes count each time that they are read.
    where = f"{dataset.file.filename}: {_name(dataset)}"
    refuse_wrong_chunks(dataset)
    values = np.empty(dataset.shape, dtype=object)
    for first in range(0, len(values), TEXT_BLOCK):
        part = dataset[first : first + TEXT_BLOCK]
        values[first : first + TEXT_BLOCK] = part
        count_unpacked(dataset, sum(map(len, part.reshape(-1))), where)
        progress.step()
    return values


def read_attribute(node: h5py.Dataset | h5py.Group, name: str) -> Any:
    """An attribute that is a number, a text or an array of these; None when there is none.

    Raises:
        DataError: for any other type, or more than ``MAX_ATTRIBUTE`` bytes.
    """
    key = name.encode("utf-8", "surrogateescape")
    if not h5a.exists(node.id, key):
        return None
    place = f"{_name(node)}: attribute {name}" if _name(node) else f"attribute {name}"
    progress.start_dataset(place)
    where = f"{node.file.filename}: {place}"
    attribute = h5a.open(node.id, key)
    _refuse_type(attribute.get_type(), where)
    if attribute.get_storage_size() > MAX_ATTRIBUTE:
        raise DataError(f"{where}: holds {attribute.get_storage_size():,} bytes, over {MAX_ATTRIBUTE:,}.")
    value = node.attrs[name]
    return None if isinstance(value, h5py.Empty) else value


def text_attribute(node: h5py.Dataset | h5py.Group, name: str) -> str | None:
    """An attribute that is one text; None for numbers, or when there is none.

    Raises:
        DataError: as ``read_attribute``.
    """
    value = read_attribute(node, name)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _refuse_type(kind: Any, where: str) -> None:
    """Refuse all types but numbers, text, and the enumeration that h5py writes for booleans."""
    code = kind.get_class()
    if code in (h5t.INTEGER, h5t.FLOAT, h5t.STRING):
        return
    if code == h5t.ENUM and kind.dtype.kind == "b":
        return
    if code == h5t.VLEN and h5py.check_string_dtype(kind.dtype):
        return
    raise DataError(
        f"{where}: holds {KINDS.get(code, 'values of an unknown type')}, neither numbers nor text."
    )


def _name(node: h5py.Dataset | h5py.Group) -> str:
    return str(node.name or "").lstrip("/")
