"""A check, before a path is opened, that it is a regular file that may be read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hcat_core.errors import DataError
from hcat_core.text.quoting import one_line

MOST_NAMED = 3  # files of a folder that a message names


def require_plain_file(path: Path, wanted: str) -> None:
    """Refuse a path that is not a regular file: a pipe makes its reader wait, a device may never end.

    Args:
        path: what is about to be opened.
        wanted: the kind of file that is needed, for messages.

    Raises:
        DataError: for a path that does not exist, that leads nowhere, or that is a folder, a device or a
            pipe; for one that the system does not let this user look at.
    """
    mode = _mode(path)
    if mode is None:
        raise DataError(f"{path}: {_why_missing(path)}")
    if stat.S_ISDIR(mode):
        raise DataError(f"{path}: is a folder; {wanted} is needed here.{_files_in(path)}")
    if not stat.S_ISREG(mode):
        raise DataError(f"{path}: is a device or a pipe; {wanted} is needed here.")


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; False for a path that does not exist.

    Raises:
        DataError: for a path that the system does not let this user look at.
    """
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def files_of_folder(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """The files with one of these endings (lower case), in the order of their names.

    Hidden ones (``.DS_Store``, the ``._*`` that macOS writes beside each file of a foreign disk) are none.

    Raises:
        DataError: for a folder that this user may not list.
    """
    return [p for p in _listed(folder) if p.suffix.lower() in endings]


def system_error(path: Path, error: OSError) -> DataError:
    """The error for a file that the system does not let this user open or read."""
    if isinstance(error, PermissionError):
        return DataError(f"{path}: no permission to read it. Ask its owner: chmod +r FILE.")
    return DataError(f"{path}: the system cannot read it: {os.strerror(error.errno or 0)}.")


def _mode(path: Path) -> int | None:
    """The kind of file that a path leads to, None for nothing."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise system_error(path, error) from None


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise system_error(folder, error) from None


def _why_missing(path: Path) -> str:
    if not path.is_symlink():
        return "no such file."
    target = str(path.readlink())
    if "/annex/objects/" in target:
        return "is a git-annex link whose content is not here. Fetch it: git annex get FILE (datalad get)."
    return f"is a link to {one_line(target, 200)}, which does not exist. Link or copy the file again."


def _files_in(folder: Path) -> str:
    """Which files a folder holds, with a leading blank; "" for none."""
    if any((folder / name).exists() for name in (".zgroup", ".zattrs", "zarr.json")):
        return " It is a Zarr store: write it as a file, such as anndata.read_zarr(...).write_h5ad(FILE)."
    names = [one_line(p.name, 80) for p in _listed(folder)]
    if not names:
        return " It holds nothing."
    more = ", ..." if len(names) > MOST_NAMED else ""
    return f" Name one of the {len(names)} that it holds: {', '.join(names[:MOST_NAMED])}{more}."
