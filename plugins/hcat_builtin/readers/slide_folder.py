"""The files of a folder with one file per slide or patient."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from hcat_builtin.readers.plain_file import files_of_folder
from hcat_core.errors import DataError

MOST_FOLDERS = 1000  # looked through for a hint
DEEPEST = 3  # TRIDENT writes its features two folders deep
READERS = {".h5": "h5", ".hdf5": "h5", ".pt": "pt", ".pth": "pt", ".h5ad": "h5ad", ".h5mu": "h5mu"}
TABLES = {".csv": "table", ".parquet": "table"}


def slide_files(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """The files with one of these endings, in the order of their names; hidden ones are none.

    Raises:
        DataError: for a folder without any, with the files or subfolders that may be meant.
    """
    files = files_of_folder(folder, endings)
    if files:
        return files
    raise DataError(f"{folder}: the folder holds no {endings[0]} file.{_meant(folder, endings)}")


def _meant(folder: Path, endings: tuple[str, ...]) -> str:
    """Which subfolder or reader may be meant, with a leading blank; "" for none."""
    others = Counter(path.suffix.lower() for path in files_of_folder(folder, tuple(READERS | TABLES)))
    for ending, count in others.most_common(1):
        reader = (READERS | TABLES)[ending]
        several = reader in ("h5", "pt")
        what = f'use = "{reader}"' if several else f'use = "{reader}" and the name of a file'
        return f" It holds {count} {ending} files: {what} reads them."
    for number, (inner, folders, names) in enumerate(os.walk(folder)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        path = Path(inner)
        if number >= MOST_FOLDERS or len(path.relative_to(folder).parts) >= DEEPEST:
            folders.clear()
        count = sum(name.lower().endswith(endings) and not name.startswith(".") for name in names)
        if count and path != folder:
            return f" Its subfolder {path.relative_to(folder)} holds {count}: name that one, {path}."
    return ""
