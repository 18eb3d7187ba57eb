"""Run folders that this process holds: one process at a time, from the first file to the last."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from hcat_core.runs.folder import RunFolder
from hcat_core.storage.atomic_files import remove_partial, storage_errors
from hcat_core.storage.checkpoint import write_text
from hcat_core.storage.folder_lock import folder_lock


@contextlib.contextmanager
def create_locked(path: Path, recipe: str) -> Iterator[RunFolder]:
    """Create a run folder and hold it; its recipe is written first, so that the run can be resumed.

    After an error before ``environment.json`` exists the folder is removed: that run never began.

    Raises:
        UsageError: when another process holds ``path``, or it holds files already.
        StorageError: when it cannot be written.
    """
    with storage_errors(path):
        created = [folder for folder in (path, *path.parents) if not folder.exists()]
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
            for parent in created:
                parent.rmdir()
        raise


@contextlib.contextmanager
def open_locked(path: Path) -> Iterator[RunFolder]:
    """Open and hold the folder of an earlier run; files that a killed process left unfinished are removed.

    Raises:
        UsageError: when another process holds ``path``, or it holds no run.
        StorageError: when it cannot be written.
    """
    folder = RunFolder.open(path)
    with folder_lock(path):
        remove_partial(path)
        yield folder
