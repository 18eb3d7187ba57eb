"""Files written whole or not at all, and what to say when a disk takes no more."""

from __future__ import annotations

import contextlib
import errno
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
}


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; synced and renamed at the end, removed on an error.

    So ``path`` is the old file or the new one, never half, whenever process or machine stop.

    Raises:
        StorageError: when the disk takes no more, naming ``path``.
    """
    temporary = path.with_name(f".{path.name}{PARTIAL}")
    with storage_errors(path):
        try:
            temporary.unlink(missing_ok=True)  # of a process that was killed
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
    """Whatever keeps ``path`` from being written becomes one message that names it.

    Raises:
        StorageError: for any error of the operating system.
    """
    try:
        yield
    except OSError as error:
        # A library's own text may be lines of what happened inside it.
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = ADVICE.get(error.errno or 0, "Name another place.")
        raise StorageError(f"{path} cannot be written: {reason}. {advice}") from error


def make_folder(path: Path) -> None:
    """Make a folder, where it is not there yet."""
    with storage_errors(path):
        path.mkdir(exist_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial(folder: Path) -> None:
    """Remove the files that a killed process was writing, at any depth.

    Raises:
        StorageError: when one cannot be removed.
    """
    for path in folder.rglob(f".*{PARTIAL}"):
        if path.is_symlink() or not path.is_dir():  # hcat makes no folder of such a name here
            with storage_errors(path):
                path.unlink(missing_ok=True)
