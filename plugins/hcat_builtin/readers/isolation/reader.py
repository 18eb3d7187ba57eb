"""``IsolatedReader``: files are parsed in another process, so that a crash there is an error here.

A reader that wants this defines the three ``..._here`` methods and can be pickled. On Windows, which has
neither the limits nor the shared memory used here, files are parsed in the process itself: a fault of a
library ends the run there.
"""

from __future__ import annotations

import atexit
import errno
import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hcat_builtin.readers.isolation.worker_handle import Worker, WorkerFault
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, ModalityTable
from hcat_core.text.quoting import one_line

ISOLATED = os.name == "posix"
SECONDS = (
    60  # without progress, which is a chunk of 4 MiB or a dataset looked at; slow network disks need less
)
MEMORY = 4 << 30  # bytes; the worker holds a file's ids, one stored chunk (512 MiB at most) and two chunks
MAX_PATIENTS = 1 << 31
OUT_OF_MEMORY = ("MemoryError", "failed to map segment")  # what an import says without memory
_idle: list[Worker] = []
_busy: set[Worker] = set()


class IsolatedReader(ABC):
    """A reader whose ``..._here`` methods parse a file, and are run by a worker for the methods without.

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

    def extra_memory(self) -> int:
        """Bytes that the worker needs beyond ``MEMORY``, for files that this reader holds whole."""
        return 0

    def read(self) -> Iterator[ModalityTable]:
        """Rows in chunks of about 4 MiB, parsed by a worker; the arrays belong to the caller.

        Raises:
            DataError: for a file that cannot be trusted or has nothing usable, that crashes the worker, or
                that needs more time or memory than the limits allow.
        """
        return _tables(self, None)

    def read_views(self) -> Iterator[ModalityTable]:
        """``read`` without copying ``values``: they are valid until the next chunk is requested.

        Raises:
            DataError: as ``read``.
        """
        return _tables(self, "values")

    def read_columns(self, names: list[str]) -> ColumnTable:
        """Columns of one value per row, parsed by a worker.

        Raises:
            DataError: naming the column that the file lacks and those it has; and as ``read``.
        """
        if not ISOLATED:
            return self.read_columns_here(names)
        messages, chunks = zip(*_ask(self, columns=names), strict=True)
        joined = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
        columns = {name: joined[f"column {name}"] for name in names}
        return ColumnTable(joined["ids"], columns, _findings(messages[0]))

    def describe(self) -> str:
        """The layout that ``read`` will use, and the names by which it was recognised; parsed by a worker.

        Raises:
            DataError: as ``read``.
        """
        if not ISOLATED:
            return one_line(self.describe_here(), 4_000)
        chunks = [arrays for _, arrays in _ask(self, describe=True)]
        return one_line(str(chunks[0]["line"][0]), 4_000)  # names from the file, made safe for a terminal


def close_workers() -> None:
    """End all workers; the next file starts a new one."""
    for worker in (*_idle, *_busy):
        worker.close()
    _idle.clear()
    _busy.clear()


atexit.register(close_workers)


def _tables(reader: IsolatedReader, view: str | None) -> Iterator[ModalityTable]:
    if not ISOLATED:
        yield from reader.read_here()
        return
    features: tuple[str, ...] = ()
    for message, arrays in _ask(reader, view=view):
        features = tuple(map(str, message.get("features", features)))
        patients = message.get("patients")
        yield ModalityTable(
            ids=arrays["ids"],
            values=arrays["values"],
            weights=arrays.get("weights"),
            quality=arrays.get("quality"),
            features=features,
            n_rows=arrays.get("n_rows"),
            patients=patients if type(patients) is int and 0 <= patients <= MAX_PATIENTS else None,
            findings=_findings(message),
        )


def _findings(message: Mapping[str, Any]) -> tuple[str, ...]:
    """What a worker found in a file, made safe for a terminal."""
    return tuple(one_line(str(text), 4_000) for text in message.get("findings", ()))


def _ask(
    reader: IsolatedReader,
    *,
    columns: list[str] | None = None,
    describe: bool = False,
    view: str | None = None,
) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """The chunks of an answer. A worker whose answer is taken to its end serves again; others are ended.

    The array called ``view`` lies in shared memory, and is valid until the next chunk is requested.
    """
    try:
        request = pickle.dumps((Path.cwd(), reader, columns, describe))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise _cannot_make(reader, error) from None
    try:
        worker = _take()
    except (OSError, MemoryError) as error:
        raise DataError(f"{reader.source}: {_no_worker(error)}") from None
    _busy.add(worker)
    finished = False
    try:
        worker.send(request)
        chunk = 0
        while "arrays" in (message := worker.receive()):
            arrays = worker.unpack(message["arrays"], chunk, view)
            if view is None:
                worker.send(b"release")
            yield message, arrays
            if view is not None:
                worker.send(b"release")
            chunk += 1
        finished = True
        if "end" not in message:
            raise _error(reader, worker, message)
    except WorkerFault as fault:
        raise DataError(worker.explain(reader.source, str(fault))) from None
    finally:
        _busy.discard(worker)
        if finished:
            _idle.append(worker)
        else:
            worker.close()


def _error(reader: IsolatedReader, worker: Worker, message: Mapping[str, Any]) -> Exception:
    """The error that a worker reports: a refused file, a fault on a file, or a reader it cannot make."""
    if "refused" in message:
        return DataError(one_line(str(message["refused"]), 4_000))
    if "fault" in message:
        error: Exception = DataError(worker.explain(reader.source, f"{message['fault']}."))
    elif any(sign in str(message.get("failed")) for sign in OUT_OF_MEMORY):
        error = DataError(f"{reader.source}: {_no_worker(MemoryError())}")
    else:
        error = _cannot_make(reader, message.get("failed"))
    error.add_note("\n".join(map(one_line, str(message.get("traceback", "")).splitlines())))
    return error


def _cannot_make(reader: IsolatedReader, reason: object) -> RuntimeError:
    kind = type(reader)
    return RuntimeError(f"the worker cannot make {kind.__module__}:{kind.__qualname__}: {reason}")


def _no_worker(error: OSError | MemoryError) -> str:
    """Why the process that reads a file cannot be started: mostly a limit of the shell or batch system."""
    limits = {
        errno.EFBIG: "a limit on the size of files (ulimit -f)",
        errno.ENOMEM: "a limit on memory (ulimit -v, or the memory of the job)",
        errno.EMFILE: "a limit on open files (ulimit -n)",
        errno.EAGAIN: "a limit on processes (ulimit -u)",
    }
    number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno or 0
    why = limits.get(number, f"the system: {os.strerror(number)}")
    return f"the process that reads it cannot be started, because of {why}. Raise it, or ask who set it."


def _take() -> Worker:
    """An idle worker of this process that is alive, or a new one."""
    while _idle:
        worker = _idle.pop()
        if worker.usable():
            return worker
        worker.close()
    return Worker(SECONDS, MEMORY)
