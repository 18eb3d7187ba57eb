"""Arrays that a worker hands to its parent: numbers in shared memory, Python objects in a JSON message."""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from typing import Any

import numpy as np

from hcat_builtin.readers.isolation.progress import PROGRESS_BYTES
from hcat_core.reading import run_starts

SLOTS = 2  # the worker fills one while the parent uses the other
SLOT_BYTES = 64 << 20  # of address space; only pages that are written to take memory
MEMORY_BYTES = PROGRESS_BYTES + SLOTS * SLOT_BYTES
ALIGNMENT = 64


def encode(message: Mapping[str, object]) -> bytes:
    """A message as JSON: the worker has parsed an untrusted file, so the parent unpickles nothing of it."""
    return json.dumps(message, default=_as_json).encode("ascii")


def decode(body: bytes) -> dict[str, Any]:
    """The message of a worker.

    Raises:
        ValueError: for bytes that are not a JSON object.
    """
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("a message is a JSON object")
    return message


def pack(arrays: Mapping[str, np.ndarray], memory: mmap.mmap, chunk: int) -> dict[str, object]:
    """Write the arrays of the ``chunk``-th chunk into its slot; return their description for a message.

    Ids of patients and slides repeat from row to row, so objects are described as runs of equal ones.
    """
    start = at = _slot_start(chunk)
    described: dict[str, object] = {}
    for name, array in arrays.items():
        if array.dtype.kind == "O":
            described[name] = _runs(array)
            continue
        target: np.ndarray = np.ndarray(array.shape, array.dtype, buffer=memory, offset=at)
        target[...] = array
        described[name] = {"dtype": array.dtype.str, "shape": array.shape, "at": at - start}
        at += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    return described


def unpack(
    described: Mapping[str, Any], memory: mmap.mmap, chunk: int, *, view: str | None = None
) -> dict[str, np.ndarray]:
    """Copies of the arrays that ``pack`` described; of the array called ``view``, the shared memory itself.

    The worker can still write to a view: copy what is to be checked, then check the copy.

    Raises:
        ValueError, TypeError, KeyError: for a description that does not fit.
    """
    arrays = {}
    buffer = np.frombuffer(memory, np.uint8)  # keeps the memory from being closed while a view exists
    for name, one in described.items():
        if "runs" in one:
            arrays[name] = _repeated(one)
            continue
        dtype, at = np.dtype(one["dtype"]), int(one["at"])
        if dtype.kind not in "biufSU" or not 0 <= at <= SLOT_BYTES:
            raise ValueError(f"an array of {dtype} at {at}")
        shared: np.ndarray = np.ndarray(one["shape"], dtype, buffer=buffer, offset=_slot_start(chunk) + at)
        shared.flags.writeable = False
        arrays[name] = shared if name == view else shared.copy()
    return arrays


def _slot_start(chunk: int) -> int:
    return PROGRESS_BYTES + chunk % SLOTS * SLOT_BYTES


def _runs(array: np.ndarray) -> dict[str, object]:
    starts = run_starts(array)
    values = array[starts].tolist()
    are_bytes = bool(values) and all(isinstance(value, bytes) for value in values)
    if are_bytes:
        values = [value.decode("utf-8", "surrogateescape") for value in values]
    return {"values": values, "runs": np.diff(starts, append=len(array)).tolist(), "bytes": are_bytes}


def _repeated(one: Mapping[str, Any]) -> np.ndarray:
    runs = one["runs"]
    if sum(runs) > SLOT_BYTES:
        raise ValueError(f"{sum(runs)} rows in one chunk")
    values = np.empty(len(runs), dtype=object)
    values[:] = one["values"]
    if one["bytes"]:
        values[:] = [value.encode("utf-8", "surrogateescape") for value in one["values"]]
    if len(values) == 1:
        return np.broadcast_to(values, (int(runs[0]),))
    return np.repeat(values, np.array(runs, np.int64))


def _as_json(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
