"""One worker, as the process that started it sees it: questions in, answers out, faults in words."""

from __future__ import annotations

import json
import mmap
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from hcat_builtin.readers.isolation.progress import Board
from hcat_builtin.readers.isolation.worker_protocol import (
    LENGTH,
    MAX_MESSAGE,
    MEMORY_BYTES,
    decode,
    encode,
    slot_start,
    unpack,
)
from hcat_core.text.quoting import one_line

GRACE = 5  # seconds, after which a worker that should have ended itself is ended
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from hcat_builtin.readers.isolation.worker_main import main; main(*map(int, sys.argv[1:]))"
)


class Fault(Exception):
    """The worker did not answer as it should, in words."""


class Worker:
    """One process that parses, one file at a time."""

    def __init__(self, seconds: int, memory: int) -> None:
        self._owner = os.getpid()
        self._seconds = seconds
        descriptor = _anonymous_file()
        try:
            os.ftruncate(descriptor, MEMORY_BYTES)
            self._memory = mmap.mmap(descriptor, MEMORY_BYTES)
            _seal(descriptor)
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _START,
                    json.dumps(sys.path),
                    *map(str, (descriptor, seconds, memory + MEMORY_BYTES)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=[descriptor],
                env={
                    **os.environ,
                    "HDF5_PLUGIN_PRELOAD": "::",  # no filter is loaded from anywhere
                    "OPENBLAS_NUM_THREADS": "1",  # threads that would only take address space
                },
            )
        finally:
            os.close(descriptor)
        self._board = Board(self._memory)
        assert self._process.stdout is not None
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._process.stdout, selectors.EVENT_READ)

    def usable(self) -> bool:
        """Whether it is alive, and this process's own (one made by ``fork`` has its parent's list)."""
        return self._owner == os.getpid() and self._process.poll() is None

    def say(self, message: Mapping[str, object]) -> None:
        """Send a message."""
        assert self._process.stdin is not None
        left = memoryview(encode(message))
        try:
            while left:
                left = left[self._process.stdin.write(left) :]
        except BrokenPipeError:
            raise Fault(self._how_it_ended()) from None

    def hear(self) -> dict[str, Any]:
        """The next message.

        Raises:
            Fault: for a worker that has ended, makes no progress, or talks nonsense.
        """
        length = LENGTH.unpack(self._read(LENGTH.size))[0]
        if length > MAX_MESSAGE:
            raise Fault(f"its worker announced a message of {length:,} bytes")
        try:
            return decode(self._read(length))
        except (ValueError, RecursionError):
            raise Fault("its worker's answer cannot be understood") from None

    def unpack(
        self, described: Mapping[str, Any], piece: int, lent: Collection[str]
    ) -> dict[str, np.ndarray]:
        """The arrays of a piece; those ``lent`` are good until it is said to be taken."""
        try:
            return unpack(described, self._memory, slot_start(piece), lent)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            raise Fault("its worker's answer cannot be understood") from None

    def stop(self) -> bool:
        """Have no more of an answer; False for a worker that does not come to its end."""
        with suppress(Fault, OSError):
            self.say({"stop": True})
            while "arrays" in self.hear():
                pass
            return True
        return False

    def explain(self, source: str, what: str) -> str:
        """The message of a fault: file and dataset that were being read, what happened, the way out."""
        _, file, dataset = self._board.read()
        where = ": ".join(one_line(part, 1_000) for part in (file or source, dataset) if part)
        what = one_line(what, 1_000)
        return f"{where}: {what} Is it damaged, or not what it is said to be? Write it again."

    def close(self) -> None:
        """End the process."""
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        else:
            self._process.returncode = 0  # another process's child, not ours to wait for
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._ready.close()
        with suppress(BufferError):  # whoever still holds what was lent holds the memory, too
            self._memory.close()

    def _read(self, size: int) -> bytearray:
        assert self._process.stdout is not None
        parts = bytearray()
        count = self._board.read()[0]
        until = time.monotonic() + self._seconds + GRACE
        while len(parts) < size:
            if self._ready.select(max(0, until - time.monotonic())):
                part = self._process.stdout.read(size - len(parts))
                if not part:
                    raise Fault(self._how_it_ended())
                parts += part
            elif self._board.read()[0] == count:
                raise Fault(self._stood_still())
            count = self._board.read()[0]
            until = time.monotonic() + self._seconds + GRACE
        return parts

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return "its worker closed the line."
        if code == -signal.SIGALRM:
            return self._stood_still()
        if code == -signal.SIGKILL:
            return "the system ended the process that read it, most likely for want of memory."
        if code < 0:
            return f"the HDF5 library crashed on it ({signal.Signals(-code).name})."
        assert self._process.stderr is not None
        last = self._process.stderr.read().decode("utf-8", "replace").strip().splitlines()
        return f"the process that read it ended with code {code}: {last[-1] if last else 'no word'}."

    def _stood_still(self) -> str:
        return f"reading made no progress for {self._seconds} seconds."


def _anonymous_file() -> int:
    """A file without a name: in memory on Linux; elsewhere on disk, gone with the last process."""
    if sys.platform == "linux":
        return os.memfd_create("hcat", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _seal(descriptor: int) -> None:
    """Fix the size: memory that the worker took away would end this process when it is next read."""
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
