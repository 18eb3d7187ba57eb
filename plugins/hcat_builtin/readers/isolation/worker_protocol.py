"""What a reader and its worker say to each other: JSON behind its length, arrays in shared memory.

Nothing is pickled: the worker parsed an untrusted file, and what it says is checked.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Collection, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from hcat_builtin.readers.isolation.progress import BOARD_BYTES
from hcat_core.reading import run_starts

SLOTS = 2  # the worker reads into one while the reader takes in the other
SLOT_BYTES = 64 << 20  # address space; only what is written to takes memory
MEMORY_BYTES = BOARD_BYTES + SLOTS * SLOT_BYTES
ALIGNMENT = 64
MAX_MESSAGE = 256 << 20
LENGTH = struct.Struct("<I")


def encode(message: Mapping[str, object]) -> bytes:
    """A message as bytes."""
    body = json.dumps(message, default=_as_json).encode("ascii")
    return LENGTH.pack(len(body)) + body


def decode(body: bytes | bytearray) -> dict[str, Any]:
    """The message behind a length.

    Raises:
        ValueError: for bytes that are no JSON object.
    """
    message = json.loads(body, object_hook=_from_json)
    if not isinstance(message, dict):
        raise ValueError("a message is an object")
    return message


def slot_start(place: int) -> int:
    """Where the slot of the ``place``-th piece of an answer begins in the shared memory."""
    return BOARD_BYTES + place % SLOTS * SLOT_BYTES


def pack(arrays: Mapping[str, np.ndarray], memory: mmap.mmap, start: int) -> dict[str, object]:
    """Lay arrays into the slot at ``start`` and describe them; Python objects travel in the description.

    A patient's or slide's id stands beside each of its rows: objects are told as runs of equal ones.
    """
    described: dict[str, object] = {}
    at = start
    for name, array in arrays.items():
        if array.dtype.kind == "O":
            described[name] = _runs(array)
            continue
        place: np.ndarray = np.ndarray(array.shape, array.dtype, buffer=memory, offset=at)
        place[...] = array
        described[name] = {"dtype": array.dtype.str, "shape": array.shape, "at": at - start}
        at += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    return described


def unpack(
    described: Mapping[str, Any], memory: mmap.mmap, start: int, lent: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Copies of the arrays that ``pack`` described; of those named in ``lent``, the memory itself.

    What is lent may change while it is looked at: the worker can still write to it.

    Raises:
        ValueError, TypeError, KeyError: for a description that does not fit.
    """
    arrays = {}
    # Memory cannot be closed as long as an array is there that is part of this one.
    held = np.frombuffer(memory, np.uint8)
    for name, one in described.items():
        if "runs" in one:
            arrays[name] = _repeated(one)
            continue
        dtype, at = np.dtype(one["dtype"]), int(one["at"])
        if dtype.kind not in "biufSU" or not 0 <= at <= SLOT_BYTES:
            raise ValueError(f"an array of {dtype} at {at}")
        view: np.ndarray = np.ndarray(one["shape"], dtype, buffer=held, offset=start + at)
        view.flags.writeable = False
        arrays[name] = view if name in lent else view.copy()
    return arrays


def _runs(array: np.ndarray) -> dict[str, object]:
    starts = run_starts(array)
    values = array[starts].tolist()
    runs = np.diff(starts, append=len(array)).tolist()
    are_bytes = bool(values) and all(isinstance(value, bytes) for value in values)
    if are_bytes:
        values = [value.decode("utf-8", "surrogateescape") for value in values]
    return {"values": values, "runs": runs, "bytes": are_bytes}


def _repeated(one: Mapping[str, Any]) -> np.ndarray:
    runs = one["runs"]
    if sum(runs) > SLOT_BYTES:
        raise ValueError(f"{sum(runs)} rows in one piece")
    values = np.empty(len(runs), dtype=object)
    values[:] = one["values"]
    if one["bytes"]:
        values[:] = [value.encode("utf-8", "surrogateescape") for value in one["values"]]
    if len(values) == 1:
        return np.broadcast_to(values, (int(runs[0]),))
    return np.repeat(values, np.array(runs, np.int64))


def _as_json(value: object) -> object:
    if isinstance(value, PurePath):
        return {"__path__": str(value)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def _from_json(value: dict[str, Any]) -> object:
    return Path(value["__path__"]) if "__path__" in value else value
