"""Whether a path that a reader is about to open is a file at all."""

from __future__ import annotations

from pathlib import Path

from hcat_core.errors import DataError


def require_plain_file(path: Path, wanted: str) -> None:
    """Stop at what is no file: a pipe keeps its reader waiting, a device may never end.

    Args:
        path: what is about to be opened.
        wanted: what is needed there, for messages.

    Raises:
        DataError: for a path that leads nowhere, to a folder, a device or a pipe.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file.")
    if path.is_dir():
        raise DataError(f"{path}: is a folder, {wanted} is needed here.")
    if not path.is_file():
        raise DataError(f"{path}: is a device or a pipe, {wanted} is needed here.")
