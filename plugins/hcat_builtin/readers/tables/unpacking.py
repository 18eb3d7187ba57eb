"""A file's bytes, unpacked as they are read where gzip packed them, up to a limit."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import IO, Any

from hcat_core.errors import DataError

GZIP = b"\x1f\x8b"
MAX_RATIO = 100  # unpacked bytes for a packed one, as of HDF5 files
SMALL_FILE = 256 << 20  # bytes; a table that unpacks to less does no harm, however it was compressed


def open_bytes(path: Path) -> io.BufferedReader:
    """Open a file for its bytes; those of a file packed by gzip are the unpacked ones.

    Raises:
        OSError: for a file that cannot be opened.
        DataError: while reading, for a file that unpacks to more than ``SMALL_FILE`` bytes and
            ``MAX_RATIO`` times its size.
    """
    file = path.open("rb")
    try:
        packed = file.peek(2)[:2] == GZIP
    except OSError:
        file.close()
        raise
    if not packed:
        return file
    limit = max(SMALL_FILE, MAX_RATIO * path.stat().st_size)
    return io.BufferedReader(_Unpacked(path, file, limit), 1 << 18)


class _Unpacked(io.RawIOBase):
    """What gzip unpacks, counted."""

    def __init__(self, path: Path, file: IO[bytes], limit: int) -> None:
        self._path, self._file, self._left = path, file, limit
        self._stream = gzip.GzipFile(fileobj=file, mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise DataError(
                f"{self._path}: unpacks to over {MAX_RATIO} times its size. hcat stops here; if it is "
                "meant, unpack the file."
            )
        return count

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._file.close()
        super().close()
