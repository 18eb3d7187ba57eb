"""Write files atomically, and turn errors of the operating system into messages that name the file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from hcat_core.errors import StorageError

PARTIAL = ".partial"
ADVICE = {
    errno.ENOSPC: "Free some space.",
    errno.EDQUOT: "Free some of your quota.",
    errno.EIO: "The disk may be failing: save what is there.",
    errno.EROFS: "Make the file system writable, or name another place.",
    errno.EACCES: "Ask for the right to write there, or name another place.",
    errno.ENOENT: "Make its folder first, or name another place.",
    errno.ENAMETOOLONG: "Give it a shorter name.",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f), or name another file system.",
    errno.ELOOP: "It is a link that leads to itself: remove the link.",
}
LONGEST_NAME = 255  # bytes of a file's name on common file systems


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, which replaces ``path`` at the end, or is removed after an error.

    The file is synced before it is renamed: ``path`` is always the complete old or the complete new file,
    also when the process is killed or the machine stops.

    Raises:
        StorageError: when the disk is full or not writable.
    """
    temporary = partial_path(path)
    with storage_errors(path):
        try:
            temporary.unlink(missing_ok=True)  # left by a process that was killed
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn any error of the operating system into a ``StorageError`` that names ``path``.

    Raises:
        StorageError: for any error of the operating system.
    """
    try:
        yield
    except OSError as error:
        # The message of a library may be several lines about its internals.
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = ADVICE.get(error.errno or 0, "Name another place.")
        raise StorageError(f"{path} cannot be written: {reason}. {advice}") from error


def partial_path(path: Path) -> Path:
    """Where a file or folder is written before it is complete: beside ``path``, hidden.

    A name with no room for the ending has its sha256 there instead.
    """
    name = f".{path.name}{PARTIAL}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}{PARTIAL}"
    return path.with_name(name)


def make_folder(path: Path) -> None:
    """Make a folder if it does not exist."""
    with storage_errors(path):
        path.mkdir(exist_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or the names in a folder (not on Windows), are on the disk."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial(folder: Path) -> None:
    """Remove files that a killed process left unfinished, at any depth.

    Raises:
        StorageError: when one cannot be removed.
    """
    for path in folder.rglob(f".*{PARTIAL}"):
        if path.is_symlink() or not path.is_dir():  # hcat makes no folders with such names
            with storage_errors(path):
                path.unlink(missing_ok=True)
