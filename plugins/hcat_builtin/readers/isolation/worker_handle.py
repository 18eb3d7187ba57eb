"""A worker as its parent sees it: requests, messages, and faults described in words.

The worker is a plain ``subprocess`` and not a ``multiprocessing.Process``, which would import the user's
``__main__`` again; only the connection is multiprocessing's (ADR 30).
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from typing import Any

import numpy as np

from hcat_builtin.readers.isolation.progress import Progress
from hcat_builtin.readers.isolation.shared_arrays import MEMORY_BYTES, decode, unpack
from hcat_core.text.quoting import one_line

GRACE = 5  # seconds, after which a worker that should have ended itself is ended
MAX_MESSAGE = 256 << 20
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from hcat_builtin.readers.isolation.worker_main import main; main(*map(int, sys.argv[1:]))"
)


class WorkerFault(Exception):
    """The worker did not answer as it should; the text says how."""


class Worker:
    """One process that parses, one file at a time.

    Args:
        seconds: without progress, after which it is ended.
        memory: bytes of address space that parsing may take.
    """

    def __init__(self, seconds: int, memory: int) -> None:
        _open_standard_descriptors()
        self._owner = os.getpid()
        self._seconds = seconds
        descriptor = _anonymous_file()
        self._connection, other_end = Pipe()
        try:
            self._memory = mmap.mmap(descriptor, MEMORY_BYTES)
            numbers = (other_end.fileno(), descriptor, seconds, memory)
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path), *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[other_end.fileno(), descriptor],
                env={
                    **os.environ,
                    "HDF5_PLUGIN_PRELOAD": "::",  # no filter is loaded from anywhere
                    "OPENBLAS_NUM_THREADS": "1",  # threads would only take address space
                    "OMP_NUM_THREADS": "1",
                },
            )
        finally:
            other_end.close()
            os.close(descriptor)
        self._progress = Progress(self._memory)

    def usable(self) -> bool:
        """Whether the worker lives and belongs to this process (a fork inherits its parent's workers)."""
        return self._owner == os.getpid() and self._process.poll() is None

    def send(self, message: bytes) -> None:
        """Send a request, or anything to say that the oldest chunk is done with.

        Raises:
            WorkerFault: for a worker that has ended.
        """
        try:
            self._connection.send_bytes(message)
        except OSError:
            raise WorkerFault(self._how_it_ended()) from None

    def receive(self) -> dict[str, Any]:
        """The next message.

        Raises:
            WorkerFault: for a worker that has ended, makes no progress, or sends what is no message.
        """
        steps = self._progress.read()[0]
        try:
            while not self._connection.poll(self._seconds + GRACE):
                before, steps = steps, self._progress.read()[0]
                if before == steps:
                    raise WorkerFault(self._no_progress())
            body = self._connection.recv_bytes(MAX_MESSAGE)
        except (EOFError, OSError) as error:
            if isinstance(error, OSError) and error.errno is None:  # a length that no message has
                raise WorkerFault("the worker's answer cannot be understood.") from None
            raise WorkerFault(self._how_it_ended()) from None
        try:
            return decode(body)
        except (ValueError, RecursionError):
            raise WorkerFault("the worker's answer cannot be understood.") from None

    def unpack(self, described: Mapping[str, Any], chunk: int, view: str | None) -> dict[str, np.ndarray]:
        """The arrays of a chunk; the one called ``view`` is valid until the chunk is released."""
        try:
            return unpack(described, self._memory, chunk, view=view)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            raise WorkerFault("the worker's answer cannot be understood.") from None

    def explain(self, source: str, what: str) -> str:
        """A message for the user: file and dataset that were being read, what happened, what to do."""
        _, file, dataset = self._progress.read()
        where = ": ".join(one_line(part, 1_000) for part in (file or source, dataset) if part)
        what = one_line(what, 1_000)
        return f"{where}: {what} The file may be damaged or of another kind: check it, or write it again."

    def close(self) -> None:
        """End the process."""
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        else:
            self._process.returncode = 0  # another process's child, not ours to wait for
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._connection.close()
        with suppress(BufferError):  # a view that is still in use keeps the memory
            self._memory.close()

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return "the worker's answer cannot be understood."
        if code == -signal.SIGALRM:
            return self._no_progress()
        if code == -signal.SIGKILL:
            return "the system ended the process that read it, most likely because memory ran out."
        if code < 0:
            return f"the library that reads it crashed on it ({signal.Signals(-code).name})."
        assert self._process.stderr is not None
        lines = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
        return f"the process that read it ended with code {code}: {lines[-1] if lines else 'no message'}."

    def _no_progress(self) -> str:
        return f"reading made no progress for {self._seconds} seconds."


def _open_standard_descriptors() -> None:
    """Open those of the descriptors 0, 1 and 2 that are closed, as in jobs of cron, on the null device.

    Otherwise the next file opened gets such a number, here the shared memory, and ``subprocess`` puts the
    worker's own input or output in its place.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _anonymous_file() -> int:
    """Descriptor of a nameless file of ``MEMORY_BYTES``: in memory on Linux, elsewhere on disk.

    On Linux its size is sealed: memory that the worker took away would crash the parent at its next look.
    """
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            file.truncate(MEMORY_BYTES)
            return os.dup(file.fileno())
    import fcntl

    descriptor = os.memfd_create("hcat", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, MEMORY_BYTES)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return descriptor
