"""HDF5 files are parsed in another process: a fault of the library there is an error here, no dead run.

A reader that wants this has ``read_here`` and ``read_columns_here``, which parse, and keyword-only
constructor parameters kept under their own names; its ``read``, ``lend`` and ``read_columns`` are
``read_in_worker(self)``, ``lend_from_worker(self)`` and ``read_columns_in_worker(self, names)``. One that
describes its file has ``describe_here``, and ``describe`` is ``describe_in_worker(self)``.
"""

from __future__ import annotations

import atexit
import inspect
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hcat_builtin.readers.hdf5_process import Fault, Worker
from hcat_core.errors import DataError
from hcat_core.quoting import one_line
from hcat_core.reading import ColumnTable, ModalityTable

SECONDS = 60  # without progress: no piece of 4 MiB, no dataset looked at; a sleepy network disk takes less
MEMORY = 4 << 30  # bytes; the worker holds a file's ids, one stored chunk (512 MiB at most) and two pieces
MOST_PATIENTS = 1 << 31
_idle: list[Worker] = []
_busy: set[Worker] = set()  # kept alive here until their answer is done with, however that is collected


class ParsesHere(Protocol):
    """A reader whose parsing can be done in a worker."""

    source: str

    def read_here(self) -> Iterator[ModalityTable]:
        """As ``Reader.read``, in the calling process."""
        ...

    def read_columns_here(self, names: list[str]) -> ColumnTable:
        """As ``Reader.read_columns``, in the calling process."""
        ...


class DescribesHere(ParsesHere, Protocol):
    """One that can also say what it found."""

    def describe_here(self) -> str:
        """As ``DescribingReader.describe``, in the calling process."""
        ...


def read_in_worker(reader: ParsesHere) -> Iterator[ModalityTable]:
    """``reader.read_here()`` of a worker; the arrays are the caller's own.

    Raises:
        DataError: as the reader does; for a file that brings the worker down, or over its budget.
    """
    return _tables(reader, ())


def lend_from_worker(reader: ParsesHere) -> Iterator[ModalityTable]:
    """The same, but ``values`` are those in shared memory, which the worker writes to again.

    Raises:
        DataError: as ``read_in_worker``.
    """
    return _tables(reader, ("values",))


def _tables(reader: ParsesHere, lent: Collection[str]) -> Iterator[ModalityTable]:
    features: tuple[str, ...] = ()
    for message, arrays in _ask(reader, {}, lent):
        features = tuple(map(str, message.get("features", features)))
        patients = message.get("patients")
        yield ModalityTable(
            ids=arrays["ids"],
            values=arrays["values"],
            weights=arrays.get("weights"),
            quality=arrays.get("quality"),
            features=features,
            n_rows=arrays.get("n_rows"),
            patients=patients if type(patients) is int and 0 <= patients <= MOST_PATIENTS else None,
        )


def read_columns_in_worker(reader: ParsesHere, names: list[str]) -> ColumnTable:
    """``reader.read_columns_here(names)`` of a worker.

    Raises:
        DataError: as ``read_in_worker``.
    """
    pieces = [arrays for _, arrays in _ask(reader, {"columns": names})]
    whole = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    return ColumnTable(whole["ids"], {name: whole[f"column {name}"] for name in names})


def describe_in_worker(reader: DescribesHere) -> str:
    """``reader.describe_here()`` of a worker; names from the file are made fit for a terminal.

    Raises:
        DataError: as ``read_in_worker``.
    """
    pieces = [arrays for _, arrays in _ask(reader, {"describe": True})]
    return one_line(str(pieces[0]["line"][0]), 4_000)


def close_workers() -> None:
    """End all workers; the next file starts one anew."""
    for worker in (*_idle, *_busy):
        worker.close()
    _idle.clear()
    _busy.clear()


atexit.register(close_workers)


def _ask(
    reader: ParsesHere, request: Mapping[str, object], lent: Collection[str] = ()
) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """The pieces of an answer. A worker that answered to the end is kept, any other is ended.

    What is ``lent`` of a piece is good until the next is asked for.
    """
    worker = _take()
    _busy.add(worker)
    kept = False
    try:
        worker.say(
            {"reader": _name(reader), "arguments": _arguments(reader), "folder": Path.cwd(), **request}
        )
        piece = 0
        while "arrays" in (message := worker.hear()):
            arrays = worker.unpack(message["arrays"], piece, lent)
            if not lent:
                worker.say({"taken": piece})
            yield message, arrays
            if lent:
                worker.say({"taken": piece})
            piece += 1
        kept = True
        if "refused" in message:
            raise DataError(one_line(str(message["refused"]), 4_000))
        if "end" not in message:
            raise _error(reader, worker, message)
    except GeneratorExit:
        kept = worker.usable() and worker.stop()
        raise
    except Fault as fault:
        raise DataError(worker.explain(reader.source, str(fault))) from None
    finally:
        _busy.discard(worker)
        if kept:
            _idle.append(worker)
        else:
            worker.close()


def _error(reader: ParsesHere, worker: Worker, message: Mapping[str, Any]) -> Exception:
    """What became of an answer: ``fault``, the file's; ``failed``, the reader's own, before any file."""
    if "fault" in message:
        error: Exception = DataError(worker.explain(reader.source, str(message["fault"]) + "."))
    else:
        error = RuntimeError(f"the worker cannot make {_name(reader)}: {message.get('failed')}")
    error.add_note("\n".join(map(one_line, str(message.get("traceback", "")).splitlines())))
    return error


def _take() -> Worker:
    """An idle worker of this process that is alive, or a new one."""
    while _idle:
        worker = _idle.pop()
        if worker.usable():
            return worker
        worker.close()
    return Worker(SECONDS, MEMORY)


def _name(reader: ParsesHere) -> str:
    return f"{type(reader).__module__}:{type(reader).__qualname__}"


def _arguments(reader: ParsesHere) -> dict[str, object]:
    constructor = inspect.signature(type(reader)).parameters
    return {name: getattr(reader, name) for name in constructor}
