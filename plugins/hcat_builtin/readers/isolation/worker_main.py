"""The worker: a process that parses files for its parent, within limits of time and memory."""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from hcat_builtin.readers.isolation.progress import progress
from hcat_builtin.readers.isolation.shared_arrays import (
    ALIGNMENT,
    MEMORY_BYTES,
    SLOT_BYTES,
    SLOTS,
    encode,
    pack,
)
from hcat_core.errors import DataError
from hcat_core.reading import ModalityTable

MAX_ROWS = 1 << 16  # of one chunk: ids and weights of narrow rows stay as small as their values


def main(connection: int, shared: int, seconds: int, memory: int) -> None:
    """Answer requests until the parent closes the connection.

    Args:
        connection: descriptor of this end of a ``multiprocessing.Pipe``.
        shared: descriptor of the shared memory.
        seconds: without progress, after which the system ends the process (SIGALRM), even inside the
            HDF5 library and when the parent is gone.
        memory: bytes of address space beyond what the imported modules take.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _limit("RLIMIT_CORE", 0)  # patients' data is in memory
    _limit("RLIMIT_FSIZE", 0)  # the worker writes no file
    with suppress(EOFError, OSError):  # the parent is gone
        _Worker(Connection(connection), mmap.mmap(shared, MEMORY_BYTES), seconds, memory).serve()


class _Worker:
    def __init__(self, connection: Connection, shared: mmap.mmap, seconds: int, memory: int) -> None:
        self._connection = connection
        self._shared = shared
        self._memory = memory + MEMORY_BYTES
        self._chunks = self._unreleased = 0
        progress.redirect(shared, lambda: signal.alarm(seconds))

    def serve(self) -> None:
        """Answer one request after the other."""
        while True:
            self._chunks = self._unreleased = 0
            last = self._answer(self._connection.recv_bytes())
            while self._unreleased:
                self._wait_for_release()
            self._send(last)

    def _answer(self, request: bytes) -> dict[str, object]:
        """Parse, and send each chunk as it is read; returns the last message."""
        try:
            reader, columns, describe = self._reader(request)  # imports modules, which may take its time
        except Exception as error:
            return {"failed": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        progress.start_file("")
        try:
            _limit("RLIMIT_AS", self._memory + reader.extra_memory())
            if columns is not None:
                table = reader.read_columns_here(columns)
                named = {f"column {name}": column for name, column in table.columns.items()}
                self._send_arrays({"ids": table.ids, **named}, {"findings": table.findings})
            elif describe:
                self._send_arrays({"line": np.array([reader.describe_here()], dtype=object)}, {})
            else:
                self._send_tables(reader.read_here())
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except DataError as error:
            return {"refused": str(error)}
        except MemoryError:
            return {"fault": "needs more memory than hcat gives to one file"}
        except Exception as error:  # a hostile file can bring a library to raise anything
            return {"fault": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        return {"end": True}

    def _reader(self, request: bytes) -> tuple[Any, list[str] | None, bool]:
        """The reader and what is asked of it. Unpickling is safe here: the parent wrote the request.

        The modules that this imports do not count towards the limit of memory: torch with CUDA alone takes
        gigabytes of address space.
        """
        _limit("RLIMIT_AS", None)
        before = _address_space()
        folder, reader, columns, describe = pickle.loads(request)
        self._memory += _address_space() - before
        os.chdir(folder)
        return reader, columns, describe

    def _send_tables(self, tables: Iterator[ModalityTable]) -> None:
        """Every table; feature names are sent when they change."""
        features: tuple[str, ...] = ()
        for table in tables:
            extra: dict[str, object] = {} if table.features == features else {"features": table.features}
            features = table.features
            optional = {"weights": table.weights, "quality": table.quality, "n_rows": table.n_rows}
            given = {name: array for name, array in optional.items() if array is not None}
            self._send_arrays(
                {"ids": table.ids, "values": table.values, **given},
                {**extra, "patients": table.patients, "findings": table.findings},
            )

    def _send_arrays(self, arrays: Mapping[str, np.ndarray], extra: Mapping[str, object]) -> None:
        """Arrays of as many rows each, in chunks that fit a slot.

        Raises:
            DataError: for a row that does not fit.
        """
        rows = max(len(array) for array in arrays.values())
        row_bytes = sum(array.nbytes // max(1, len(array)) for array in arrays.values())
        step = min(MAX_ROWS, (SLOT_BYTES - len(arrays) * ALIGNMENT) // max(1, row_bytes))
        if step < 1:
            _, file, dataset = progress.read()
            where = f"{file}: {dataset}" if dataset else file
            raise DataError(f"{where}: a row holds {row_bytes:,} bytes, over {SLOT_BYTES:,}.")
        for first in range(0, max(1, rows), step):
            while self._unreleased >= SLOTS:
                self._wait_for_release()
            part = {name: array[first : first + step] for name, array in arrays.items()}
            self._send({"arrays": pack(part, self._shared, self._chunks), **extra})
            self._chunks += 1
            self._unreleased += 1
            progress.step()

    def _wait_for_release(self) -> None:
        """Wait until the parent has done with a chunk, however long it takes."""
        signal.alarm(0)
        self._connection.recv_bytes()
        self._unreleased -= 1
        progress.step()

    def _send(self, message: Mapping[str, object]) -> None:
        signal.alarm(0)  # from here on, time is the parent's
        self._connection.send_bytes(encode(message))


def _address_space() -> int:
    """Bytes of address space of this process; 0 where the system does not limit it anyway."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * mmap.PAGESIZE


def _limit(name: str, value: int | None) -> None:
    """Set a soft limit, to the hard one for None. macOS accepts some limits without enforcing them."""
    import resource  # only the worker runs this, and there is none on Windows

    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    if value is None or (hard != resource.RLIM_INFINITY and value > hard):
        value = hard
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (value, hard))
