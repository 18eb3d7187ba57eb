"""Paths that stay in their folder, whatever names or links come from recipes and files."""

from __future__ import annotations

from pathlib import Path

from hcat_core.errors import StorageError, UsageError
from hcat_core.text.quoting import shown


def safe_path(folder: Path, name: str) -> Path:
    """The path of a file or folder directly in ``folder``.

    Raises:
        UsageError: for a name that is a path, and for a link that leads out of the folder.
    """
    if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
        raise UsageError(f"{folder}: {shown(name)} is not the name of a file in this folder.")
    path = folder / name
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # links in a circle
        target = None
    if target is None or not target.is_relative_to(folder.resolve()):
        where = "in a circle" if target is None else f"to {target}"
        raise UsageError(f"{path} is a link {where}: hcat writes only inside {folder}. Remove the link.")
    return path


def resolved(path: Path) -> Path:
    """The absolute path without links; a path that does not exist yet has one too.

    Raises:
        StorageError: for links in a circle, and for what the file system refuses to look at.
    """
    try:
        return path.resolve()
    except RuntimeError:
        raise StorageError(f"{path} is a link that leads to itself. Remove the link.") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be reached: {error.strerror}. Name another place.") from None
