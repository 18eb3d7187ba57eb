"""Fill a new folder with files: all of them, or none. One process at a time writes to one place."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from hcat_core.errors import UsageError
from hcat_core.storage.atomic_files import PARTIAL, partial_path, storage_errors, sync
from hcat_core.storage.folder_lock import folder_lock
from hcat_core.storage.safe_path import resolved

CONTENT = "content"
INSIDE = f".hcat{PARTIAL}"  # in an empty folder that was there already, which may be a mount point


def refuse_filled(folder: Path) -> None:
    """Refuse what is not a new or an empty folder; what a killed process left unfinished does not count.

    Raises:
        UsageError: for a file, and for a folder that is not empty.
        StorageError: when it cannot be looked at.
    """
    with storage_errors(folder):
        if folder.is_dir():
            filled = any(path.name != INSIDE for path in folder.iterdir())
        else:
            filled = folder.exists()
    if filled:
        raise UsageError(f"{folder} is not empty. Name another folder, or remove it first.")


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a hidden folder to write to, which becomes ``folder`` at the end.

    An error while it is filled is one of the disk; otherwise as ``held_folder``.

    Raises:
        UsageError: if ``folder`` exists and is not empty, or another process writes to it.
        StorageError: if it cannot be created, or the disk is full or not writable.
    """
    with storage_errors(folder), held_folder(folder) as content:
        yield content


@contextlib.contextmanager
def held_folder(folder: Path) -> Iterator[Path]:
    """Hold a place for a new folder, and give a hidden folder whose content appears there at the end.

    A folder that does not exist appears in one step. An empty one, or a link to one, is filled and not
    replaced. After an error or an interruption nothing is left of what was written, and folders that were
    created are removed; what a killed process leaves is removed by the next one that writes there.

    Raises:
        UsageError: if ``folder`` exists and is not empty, or another process writes to it.
        StorageError: if it cannot be created.
    """
    refuse_filled(folder)
    with storage_errors(folder):
        place = resolved(folder)
        created = [parent for parent in place.parents if not parent.exists()]
        place.parent.mkdir(parents=True, exist_ok=True)
        hidden = place / INSIDE if place.is_dir() else partial_path(place)
    try:
        with partial_folder(hidden, folder) as content:
            refuse_filled(folder)  # another process may have filled it since
            yield content
            with storage_errors(folder):
                for path in (*sorted(content.rglob("*")), content):
                    sync(path)
                (_move_into if hidden.parent == place else _become)(content, place)
    except BaseException:
        with contextlib.suppress(OSError):  # the first that is not empty stays, and those above it
            for parent in created:
                parent.rmdir()
        raise


@contextlib.contextmanager
def partial_folder(hidden: Path, destination: Path) -> Iterator[Path]:
    """Give an empty folder inside ``hidden``, which this process holds and which is removed at the end.

    Args:
        hidden: where to write; what a killed process has left there is removed first.
        destination: what is being written, for messages.

    Raises:
        UsageError: when another process holds it.
        StorageError: when it cannot be written.
    """
    if hidden.is_symlink():
        raise UsageError(f"{hidden} is a link, and hcat would write through it. Remove the link.")
    content = hidden / CONTENT
    try:
        with folder_lock(hidden, destination):
            try:
                with storage_errors(destination):
                    if content.exists():
                        shutil.rmtree(content)
                    content.mkdir()
                yield content
            finally:
                shutil.rmtree(content, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):  # another process waits in it
            hidden.rmdir()


def _become(content: Path, folder: Path) -> None:
    """Rename the content to the folder; an interruption before the end takes it back."""
    try:
        content.rename(folder)
        sync(folder.parent)
    except BaseException:
        if not content.exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _move_into(content: Path, folder: Path) -> None:
    """Move what is in the content into the folder; an interruption before the end takes it back."""
    names = sorted(path.name for path in content.iterdir())
    try:
        for name in names:
            (content / name).rename(folder / name)
        sync(folder)
    except BaseException:
        for name in names:
            if not (content / name).exists():
                moved = folder / name
                shutil.rmtree(moved, ignore_errors=True) if moved.is_dir() else moved.unlink()
        raise
