"""What is being read right now, kept where it outlives the process that reads."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable

BOARD_BYTES = 8192
_HEAD = struct.Struct("<QHH")  # how often something was told; bytes of the file's name, of the dataset's
_LONGEST = (BOARD_BYTES - _HEAD.size) // 2


class Board:
    """The file and the dataset that are being read, and a count that grows with progress.

    A worker's board lies in memory that it shares with the process that waits for it: after a crash of
    the HDF5 library it says what was read last.
    """

    def __init__(self, buffer: bytearray | mmap.mmap) -> None:
        self._buffer = buffer
        self._told: Callable[[], object] = lambda: None
        self._file = b""

    def move(self, buffer: bytearray | mmap.mmap, told: Callable[[], object]) -> None:
        """Write into another buffer from now on, and call ``told`` each time."""
        self._buffer, self._told = buffer, told

    def open(self, file: str) -> None:
        """A file is opened."""
        self._file = _encoded(file)
        self.tell("")

    def tell(self, dataset: str) -> None:
        """A dataset of it is looked at next."""
        count = _HEAD.unpack_from(self._buffer)[0]
        name = _encoded(dataset)
        _HEAD.pack_into(self._buffer, 0, count + 1, len(self._file), len(name))
        self._buffer[_HEAD.size : _HEAD.size + len(self._file) + len(name)] = self._file + name
        self._told()

    def again(self) -> None:
        """Still the same dataset, one piece further."""
        self.tell(self.read()[2])

    def read(self) -> tuple[int, str, str]:
        """The count, the file, the dataset; whatever bytes a worker left there."""
        count, file, dataset = _HEAD.unpack_from(self._buffer)
        text = self._buffer[_HEAD.size : _HEAD.size + file + dataset]
        return count, text[:file].decode("utf-8", "replace"), text[file:].decode("utf-8", "replace")


now = Board(bytearray(BOARD_BYTES))
"""This process's board: in ordinary memory, until a worker moves it."""


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "backslashreplace")[:_LONGEST]
