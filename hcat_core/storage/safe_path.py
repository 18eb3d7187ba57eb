"""Paths that stay in their folder, whatever a recipe, a file's header or a planted link says."""

from __future__ import annotations

from pathlib import Path

from hcat_core.errors import UsageError
from hcat_core.text.quoting import shown


def safe_path(folder: Path, name: str) -> Path:
    """``folder / name``, a file or folder directly in ``folder``.

    Raises:
        UsageError: for a name that is a path, or a link at it that leads out of the folder.
    """
    if name in ("", ".", "..") or any(letter in name for letter in "/\\\0"):
        raise UsageError(f"{folder}: {shown(name)} is not the name of a file in this folder.")
    path = folder / name
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # links in a circle
        target = None
    if target is None or not target.is_relative_to(folder.resolve()):
        said = "in a circle" if target is None else f"to {target}"
        raise UsageError(f"{path} is a link {said}: hcat writes inside {folder} alone. Remove the link.")
    return path
