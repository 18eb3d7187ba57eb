"""The user block in front of an HDF5 file's data, and a second file that could be hidden there."""

from __future__ import annotations

from pathlib import Path

import h5py

from hcat_core.errors import DataError

MAX_USER_BLOCK = 1 << 16
SIGNATURE = b"\x89HDF\r\n\x1a\n"
MATLAB = b"MATLAB 7.3 MAT-file"


def refuse_second_file(path: Path, file: h5py.File) -> None:
    """Refuse a user block that is not a line of text (as MuData and MATLAB write), and a second HDF5 file.

    Two programs could each read another half of such a file.

    Raises:
        DataError: naming the file.
    """
    size = file.userblock_size
    with path.open("rb", buffering=0) as raw:
        block = raw.read(min(size, MAX_USER_BLOCK))
        signatures = 0
        place = 0
        while place < file.id.get_filesize():  # where HDF5 looks for the start of a file
            raw.seek(place)
            signatures += raw.read(len(SIGNATURE)) == SIGNATURE
            place = max(512, 2 * place)
    text = block.rstrip(b"\0")
    plain = all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in text)
    if size > MAX_USER_BLOCK or SIGNATURE in block or not (plain or block.startswith(MATLAB)):
        raise DataError(
            f"{path}: has {size:,} bytes in front of its data that are not a line of text: perhaps a "
            "second file. Write it again without a user block."
        )
    if signatures > 1:
        raise DataError(
            f"{path}: is {signatures} HDF5 files one behind the other. Write the right one alone."
        )
