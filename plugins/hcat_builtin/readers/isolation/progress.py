"""The file and dataset being read, in memory that outlives a crash of the process that reads them."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable

PROGRESS_BYTES = 8192
_HEAD = struct.Struct("<QHH")  # number of steps; bytes of the file's name and of the dataset's
_LONGEST_NAME = (PROGRESS_BYTES - _HEAD.size) // 2


class Progress:
    """The file and dataset that are being read, and a count of steps.

    A worker writes them into memory that it shares with its parent. The parent sees from the count that
    the worker is not stuck, and names the dataset when the HDF5 library has crashed.
    """

    def __init__(self, buffer: bytearray | mmap.mmap) -> None:
        self._buffer = buffer
        self._on_step: Callable[[], object] = lambda: None
        self._file = b""

    def redirect(self, buffer: bytearray | mmap.mmap, on_step: Callable[[], object]) -> None:
        """Write into another buffer from now on, and call ``on_step`` at each step."""
        self._buffer, self._on_step = buffer, on_step

    def start_file(self, file: str) -> None:
        """Record that a file is opened."""
        self._file = _encoded(file)
        self.start_dataset("")

    def start_dataset(self, dataset: str) -> None:
        """Record that a dataset of the file is looked at or read next."""
        count = _HEAD.unpack_from(self._buffer)[0]
        name = _encoded(dataset)
        _HEAD.pack_into(self._buffer, 0, count + 1, len(self._file), len(name))
        self._buffer[_HEAD.size : _HEAD.size + len(self._file) + len(name)] = self._file + name
        self._on_step()

    def step(self) -> None:
        """Record that reading the same dataset goes on."""
        self.start_dataset(self.read()[2])

    def read(self) -> tuple[int, str, str]:
        """The number of steps, the file and the dataset, whatever bytes a worker has left there."""
        count, file, dataset = _HEAD.unpack_from(self._buffer)
        text = self._buffer[_HEAD.size : _HEAD.size + file + dataset]
        return count, text[:file].decode("utf-8", "replace"), text[file:].decode("utf-8", "replace")


progress = Progress(bytearray(PROGRESS_BYTES))
"""This process's progress: in ordinary memory, until a worker redirects it."""


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "backslashreplace")[:_LONGEST_NAME]
