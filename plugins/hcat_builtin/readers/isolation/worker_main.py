"""The worker: a process that parses HDF5 files for another one, within a budget of time and memory."""

from __future__ import annotations

import importlib
import mmap
import os
import resource
import signal
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from hcat_builtin.readers.isolation.progress import now
from hcat_builtin.readers.isolation.worker_protocol import (
    ALIGNMENT,
    LENGTH,
    MEMORY_BYTES,
    SLOT_BYTES,
    SLOTS,
    decode,
    encode,
    pack,
    slot_start,
)
from hcat_core.errors import DataError

MAX_ROWS = 1 << 16  # of one piece: ids and weights of narrow rows stay as small as their values


class _Stopped(Exception):
    """The other side wants no more of this answer."""


def main(descriptor: int, seconds: int, memory: int) -> None:
    """Serve requests from stdin until it is closed.

    Args:
        descriptor: of the shared memory.
        seconds: without progress, after which the process ends itself (SIGALRM), even inside the library.
        memory: bytes of address space.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    said = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    _limit(resource.RLIMIT_AS, memory)
    _limit(resource.RLIMIT_CORE, 0)  # patients' data is in memory
    _limit(resource.RLIMIT_FSIZE, 0)  # it writes no file
    shared = mmap.mmap(descriptor, MEMORY_BYTES)
    now.move(shared, lambda: signal.alarm(seconds))
    conversation = _Conversation(said, shared)
    while (request := conversation.hear()) is not None:
        if "reader" in request:  # or it is a stop that came after the end
            conversation.finish(_answer(request, conversation))


def _answer(request: Mapping[str, Any], conversation: _Conversation) -> dict[str, object]:
    """Read, telling each piece as it comes; returns the last message."""
    now.open("")
    try:
        os.chdir(request["folder"])
        module, _, name = request["reader"].partition(":")
        reader = getattr(importlib.import_module(module), name)(**request["arguments"])
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    try:
        if "columns" in request:
            table = reader.read_columns_here(request["columns"])
            columns = {f"column {name}": column for name, column in table.columns.items()}
            conversation.tell({"ids": table.ids, **columns}, {})
        elif "describe" in request:
            conversation.tell({"line": np.array([reader.describe_here()], dtype=object)}, {})
        else:
            conversation.tell_tables(reader.read_here())
    except _Stopped:
        pass
    except DataError as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"fault": "needs more memory than hcat gives to one file"}
    except Exception as error:  # whatever a hostile file brings h5py to raise
        return {"fault": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return {"end": True}


class _Conversation:
    """The worker's side: pieces out, at most ``SLOTS`` of them not yet taken in."""

    def __init__(self, said: int, shared: mmap.mmap) -> None:
        self._said = said
        self._shared = shared
        self._pieces = 0
        self._untaken = 0

    def hear(self) -> dict[str, Any] | None:
        """The next message from the other side, however long it takes; None when that is gone."""
        signal.alarm(0)
        head = _read(LENGTH.size)
        body = _read(LENGTH.unpack(head)[0]) if head else b""
        return decode(body) if body else None

    def tell_tables(self, tables: Iterator[Any]) -> None:
        """Every table of a stream; feature names travel where they change."""
        features: tuple[str, ...] = ()
        for table in tables:
            beside: dict[str, object] = {} if table.features == features else {"features": table.features}
            features = table.features
            beside |= {} if table.patients is None else {"patients": table.patients}
            arrays = {"ids": table.ids, "values": table.values}
            arrays |= {} if table.weights is None else {"weights": table.weights}
            arrays |= {} if table.quality is None else {"quality": table.quality}
            arrays |= {} if table.n_rows is None else {"n_rows": table.n_rows}
            self.tell(arrays, beside)

    def tell(self, arrays: Mapping[str, np.ndarray], beside: Mapping[str, object]) -> None:
        """Arrays of as many rows each, in pieces that fit a slot.

        Raises:
            DataError: for a row that does not fit.
        """
        rows = max(len(array) for array in arrays.values())
        row_bytes = sum(array.nbytes // max(1, len(array)) for array in arrays.values())
        step = min(MAX_ROWS, (SLOT_BYTES - len(arrays) * ALIGNMENT) // max(1, row_bytes))
        if step < 1:
            _, file, dataset = now.read()
            raise DataError(f"{file}: {dataset}: a row holds {row_bytes:,} bytes, over {SLOT_BYTES:,}.")
        for first in range(0, max(1, rows), step):
            while self._untaken >= SLOTS:
                self._take_in()
            start = slot_start(self._pieces)
            part = {name: array[first : first + step] for name, array in arrays.items()}
            self._say({"arrays": pack(part, self._shared, start), **beside})
            self._pieces += 1
            self._untaken += 1
            now.again()

    def finish(self, message: Mapping[str, object]) -> None:
        """End an answer, when every piece of it was taken in."""
        with suppress(_Stopped):
            while self._untaken:
                self._take_in()
        self._pieces = self._untaken = 0
        self._say(message)

    def _take_in(self) -> None:
        heard = self.hear()
        if heard is None:
            os._exit(0)
        if "stop" in heard:
            self._untaken = 0  # nor does the other side take in those that are on their way
            raise _Stopped
        self._untaken -= 1
        now.again()

    def _say(self, message: Mapping[str, object]) -> None:
        signal.alarm(0)  # what takes time now is the other side
        left = memoryview(encode(message))
        while left:
            left = left[os.write(self._said, left) :]


def _read(size: int) -> bytes:
    """Exactly ``size`` bytes of stdin, or none when it is closed."""
    parts = bytearray()
    while len(parts) < size:
        part = os.read(0, size - len(parts))
        if not part:
            return b""
        parts += part
    return bytes(parts)


def _limit(kind: int, value: int) -> None:
    """Lower a limit, never raise it; macOS knows some of them by name only."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (value, value))
