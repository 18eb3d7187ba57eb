"""A check, before a path is opened, that it is a regular file."""

from __future__ import annotations

from pathlib import Path

from hcat_core.errors import DataError


def require_plain_file(path: Path, wanted: str) -> None:
    """Refuse a path that is not a regular file: a pipe makes its reader wait, a device may never end.

    Args:
        path: what is about to be opened.
        wanted: the kind of file that is needed, for messages.

    Raises:
        DataError: for a path that does not exist, or that is a folder, a device or a pipe.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file.")
    if path.is_dir():
        raise DataError(f"{path}: is a folder; {wanted} is needed here.")
    if not path.is_file():
        raise DataError(f"{path}: is a device or a pipe; {wanted} is needed here.")
