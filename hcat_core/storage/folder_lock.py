"""A lock on a folder that is written by one process at a time: a run, or a comparison."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from hcat_core.errors import UsageError
from hcat_core.storage.atomic_files import storage_errors

LOCK = ".lock"
HOLDER = ".lock-holder"  # who holds it: on Windows the locked file itself cannot be read by others
WAIT = 0.2  # seconds; a lock that was removed since it was opened is then tried again


@contextlib.contextmanager
def folder_lock(path: Path, named: Path | None = None) -> Iterator[None]:
    """Hold a folder, which is made if it does not exist.

    The operating system releases the lock when this process ends, also after SIGKILL.

    Args:
        path: the folder.
        named: what messages name; None: the folder.

    Raises:
        UsageError: when another process holds ``path``, or it is a file.
        StorageError: when it cannot be written.
    """
    named = named or path
    with storage_errors(named):
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a file. Name another place.")
        lock = _acquire(path, named)
    try:
        yield
    finally:
        # Removed before the release: a process that has opened the lock file sees then that it is gone.
        for name in (HOLDER, LOCK):
            with contextlib.suppress(OSError):
                (path / name).unlink()
        lock.release()


def _acquire(path: Path, named: Path) -> FileLock:
    """The lock of a folder, acquired, with a note of who holds it."""
    lock = FileLock(path / LOCK)
    while True:
        path.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=WAIT, poll_interval=WAIT / 4)
            break
        except FileNotFoundError:
            continue  # a run that stopped before it began has just removed its folder
        except Timeout:
            raise UsageError(
                f"{named} is in use by {_holder(path)}. Wait until it is done, or name another place."
            ) from None
    try:
        _write_holder(path / HOLDER)
    except BaseException:
        lock.release()
        raise
    return lock


def _write_holder(path: Path) -> None:
    path.unlink(missing_ok=True)  # left by a process that was killed, or a link
    since = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    with path.open("x", encoding="utf-8") as file:
        file.write(f"process {os.getpid()} on {platform.node()} since {since}")


def _holder(path: Path) -> str:
    try:
        return (path / HOLDER).read_text(encoding="utf-8", errors="replace")[:1000] or "another process"
    except OSError:
        return "another process"
