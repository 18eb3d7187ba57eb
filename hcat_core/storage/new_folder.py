"""Fill a new folder with files: all of them, or none."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hcat_core.errors import UsageError
from hcat_core.storage.atomic_files import storage_errors, sync


def refuse_filled(folder: Path) -> None:
    """Refuse what is not a new or an empty folder.

    Raises:
        UsageError: for a file, and for a folder that is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty. Name another folder, or remove it first.")


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a hidden folder to write to, whose files and folders are moved to ``folder`` at the end.

    ``folder`` may be an empty folder or a link to one, which is then filled and not replaced. After an
    error nothing is left of what was written, and a folder that was created is removed.

    Raises:
        UsageError: if ``folder`` exists and is not empty.
        StorageError: if it cannot be created, or the disk is full or not writable.
    """
    folder = Path(folder).resolve()
    refuse_filled(folder)
    created = not folder.exists()
    temporary: Path | None = None
    moved: list[Path] = []
    try:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=".hcat.", dir=folder))
            yield temporary
            for path in (*sorted(temporary.rglob("*")), temporary):
                sync(path)
            for path in sorted(temporary.iterdir()):
                moved.append(path.rename(folder / path.name))
            temporary.rmdir()
            sync(folder)
    except BaseException:
        for path in (*moved, *([] if temporary is None else [temporary])):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        if created:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
