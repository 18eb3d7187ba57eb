"""HDF5 files are parsed in another process: a fault of the library there is an error here, no dead run.

A reader that wants this is an ``IsolatedReader``: it says how to parse, and keeps its keyword-only
constructor parameters under their own names.
"""

from __future__ import annotations

import atexit
import inspect
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hcat_builtin.readers.isolation.worker_handle import Fault, Worker
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, ModalityTable
from hcat_core.text.quoting import one_line

SECONDS = 60  # without progress: no piece of 4 MiB, no dataset looked at; a sleepy network disk takes less
MEMORY = 4 << 30  # bytes; the worker holds a file's ids, one stored chunk (512 MiB at most) and two pieces
MOST_PATIENTS = 1 << 31
_idle: list[Worker] = []
_busy: set[Worker] = set()  # kept alive here until their answer is done with, however that is collected


class IsolatedReader(ABC):
    """A reader whose ``..._here`` methods parse, and are run by a worker for the methods without.

    Attributes:
        source: the file, for messages.
    """

    source: str

    @abstractmethod
    def read_here(self) -> Iterator[ModalityTable]:
        """``read`` in this process: what the worker runs."""

    @abstractmethod
    def read_columns_here(self, names: list[str]) -> ColumnTable:
        """``read_columns`` in this process."""

    @abstractmethod
    def describe_here(self) -> str:
        """``describe`` in this process."""

    def read(self) -> Iterator[ModalityTable]:
        """Rows in pieces of about 4 MiB, parsed by a worker; the arrays are the caller's own.

        Raises:
            DataError: as parsing does: for a file that cannot be trusted, or says nothing usable; for one
                that brings the worker down, or over its budget.
        """
        return _tables(self, ())

    def read_views(self) -> Iterator[ModalityTable]:
        """``read`` without copying the values: the worker writes over a table's when the next is asked for.

        Raises:
            DataError: as ``read``.
        """
        return _tables(self, ("values",))

    def read_columns(self, names: list[str]) -> ColumnTable:
        """Columns of one value a row, parsed by a worker.

        Raises:
            DataError: naming the column that the file lacks, and those it has; and as ``read``.
        """
        pieces = [arrays for _, arrays in _ask(self, {"columns": names})]
        whole = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        return ColumnTable(whole["ids"], {name: whole[f"column {name}"] for name in names})

    def describe(self) -> str:
        """The layout that ``read`` will take, and the names it was known by; parsed by a worker.

        Raises:
            DataError: as ``read``.
        """
        pieces = [arrays for _, arrays in _ask(self, {"describe": True})]
        return one_line(str(pieces[0]["line"][0]), 4_000)  # names from the file, fit for a terminal


def _tables(reader: IsolatedReader, lent: Collection[str]) -> Iterator[ModalityTable]:
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


def close_workers() -> None:
    """End all workers; the next file starts one anew."""
    for worker in (*_idle, *_busy):
        worker.close()
    _idle.clear()
    _busy.clear()


atexit.register(close_workers)


def _ask(
    reader: IsolatedReader, request: Mapping[str, object], lent: Collection[str] = ()
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


def _error(reader: IsolatedReader, worker: Worker, message: Mapping[str, Any]) -> Exception:
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


def _name(reader: IsolatedReader) -> str:
    return f"{type(reader).__module__}:{type(reader).__qualname__}"


def _arguments(reader: IsolatedReader) -> dict[str, object]:
    constructor = inspect.signature(type(reader)).parameters
    return {name: getattr(reader, name) for name in constructor}
