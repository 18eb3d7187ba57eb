"""Why an HDF5 file cannot be opened: locked, of another format, truncated or damaged."""

from __future__ import annotations

import errno
from pathlib import Path

from hcat_builtin.readers.file_formats import HDF5, begins_with, foreign_format
from hcat_builtin.readers.plain_file import system_error
from hcat_core.errors import DataError

WAIT = (
    "is open for writing in another program: wait until it is closed. If the program that wrote it was "
    "killed, run h5clear -s FILE and check that the file is complete."
)
NO_LOCKS = (
    "lies on a file system without locks. Set HDF5_USE_FILE_LOCKING=FALSE, and make sure that nothing "
    "writes the file."
)
MOST_FLIPPED = 2  # bytes of the signature
SEARCHED = 1 << 20  # bytes in which the start of an HDF5 file is looked for


def open_error(path: Path, error: Exception) -> DataError:
    """The error for a regular file that h5py does not open.

    Args:
        path: the file.
        error: what h5py raised.
    """
    text = str(error)
    if "already open for write" in text or "consistency flags" in text:
        return DataError(f"{path}: {WAIT}")
    if "unable to lock file" in text:
        busy = isinstance(error, BlockingIOError) or f"errno = {errno.EAGAIN}" in text
        return DataError(f"{path}: {WAIT if busy else NO_LOCKS}")
    if isinstance(error, OSError) and error.errno:
        return system_error(path, error)
    if "truncated" in text:
        return DataError(
            f"{path}: cannot be opened: it is truncated: its copy or its writing broke off. Copy "
            "or write it again."
        )
    if _has_signature(path):
        if "bad superblock version" in text:
            return DataError(
                f"{path}: cannot be opened: it is damaged, or of a newer version of HDF5: h5repack OLD NEW."
            )
        return DataError(
            f"{path}: cannot be opened: it is damaged: {_reason(text)}. Copy or write it again."
        )
    foreign = foreign_format(path, "an HDF5 file")
    return foreign or DataError(
        f"{path}: is no HDF5 file (it begins with the bytes {begins_with(path)}). Export it as HDF5, or "
        "name the reader that it needs: use = ..."
    )


def _has_signature(path: Path) -> bool:
    """Whether an HDF5 file starts at one of the places where HDF5 looks for it, some bytes damaged."""
    with path.open("rb", buffering=0) as file:
        place = 0
        while place < SEARCHED:
            file.seek(place)
            start = file.read(len(HDF5))
            differ = sum(a != b for a, b in zip(start, HDF5, strict=False))
            if len(start) == len(HDF5) and (differ <= MOST_FLIPPED or start.startswith(HDF5[:4])):
                return True
            place = max(512, 2 * place)
    return False


def _reason(text: str) -> str:
    return text.partition("(")[2].rstrip(")") or "its bytes contradict each other"
