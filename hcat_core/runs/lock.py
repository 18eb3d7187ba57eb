"""Who may write a run folder, or a comparison's: one process at a time, from the first file to the last."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from hcat_core.errors import UsageError
from hcat_core.runs.folder import LOCK, RunFolder
from hcat_core.storage.atomic_files import remove_partial, storage_errors
from hcat_core.storage.checkpoint import write_text


@contextlib.contextmanager
def create_locked(path: Path, recipe: str) -> Iterator[RunFolder]:
    """A new run folder, held by this process; the recipe is in it from the start, to be resumed from.

    An error before ``environment.json`` is there takes the folder away again: that run never began.

    Raises:
        UsageError: when another process holds ``path``, or something is there already.
        StorageError: when it cannot be written.
    """
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        with folder_lock(path):
            folder = RunFolder.create(path)
            write_text(folder.recipe, recipe)
            try:
                yield folder
            except Exception:
                if not folder.environment.exists():
                    folder.recipe.unlink()
                raise
    except Exception:
        with contextlib.suppress(OSError):  # the first that is not empty stays, and those above it
            for parent in made:
                parent.rmdir()
        raise


@contextlib.contextmanager
def open_locked(path: Path) -> Iterator[RunFolder]:
    """The folder of an earlier run, held by this process, without what a killed one was writing.

    Raises:
        UsageError: when another process holds ``path``, or no run is there.
        StorageError: when it cannot be written.
    """
    folder = RunFolder.open(path)
    with folder_lock(path):
        remove_partial(path)
        yield folder


@contextlib.contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Hold a folder, made where there is none. The kernel frees it when this process ends, however it ends.

    Raises:
        UsageError: when another process holds ``path``, or it is a file.
        StorageError: when it cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file. Name another --outdir.")
    with storage_errors(path):
        descriptor = _locked(path)
    try:
        yield
    finally:
        # Removed while it is held: whoever has opened it meanwhile sees that it is not the lock any more.
        with contextlib.suppress(OSError):
            (path / LOCK).unlink()
        os.close(descriptor)


def _locked(path: Path) -> int:
    """An open file with the lock on it, and in it who this is."""
    lock = path / LOCK
    while True:
        path.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:
            continue  # a run that never began has just taken its folder away
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, lock):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, _who().encode())
                return descriptor
        except BlockingIOError:
            time.sleep(0.2)  # whoever has just won is writing its name
            who = os.pread(descriptor, 1000, 0).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise UsageError(
                f"{path} is in use by {who}. Wait until it is done, or name another --outdir."
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Is the open file still the one at ``path``?"""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _who() -> str:
    since = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return f"process {os.getpid()} on {platform.node()} since {since}"
