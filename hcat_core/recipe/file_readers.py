"""Which reader reads a file, by the ending of its name."""

from __future__ import annotations

from pathlib import Path

from hcat_core.errors import Problem
from hcat_core.recipe.toml_text import Tree
from hcat_core.text.quoting import shown

READERS = {
    ".csv": "table",
    ".tsv": "table",
    ".parquet": "table",
    ".pq": "table",
    ".csv.gz": "table",
    ".tsv.gz": "table",
    ".h5ad": "h5ad",
    ".h5mu": "h5mu",
    ".pt": "pt",
    ".pth": "pt",
}
"""Reader by the ending of a file's name, for those that only one reader can read."""

HDF5 = (".h5", ".hdf5")  # read by h5, unless a recipe names another reader of such files


def reader_for(path: Path, otherwise: str) -> str:
    """The reader of a file by its ending, or ``otherwise`` where several readers could read it."""
    ending = _ending(path)
    if ending in HDF5 and otherwise in READERS.values():
        return "h5"
    return READERS.get(ending, otherwise)


def name_readers(tree: Tree) -> list[Problem]:
    """Add ``use`` to the tables of files that have none, in place, by the ending of their path.

    Returns:
        A problem if no reader is known for the outcomes; modalities are checked as components.
    """
    cohort = tree.get("cohort")
    if not isinstance(cohort, dict):
        return []
    modalities, targets = cohort.get("modalities"), cohort.get("targets")
    for table in (*(modalities.values() if isinstance(modalities, dict) else ()), targets):
        if isinstance(table, dict) and "use" not in table and isinstance(table.get("path"), str):
            reader = reader_of(Path(table["path"]))
            if reader is not None:
                table["use"] = reader
    if isinstance(targets, dict) and "use" not in targets and isinstance(targets.get("path"), str):
        endings = ", ".join((*HDF5, *READERS))
        message = f"is needed: the reader of {shown(targets['path'])}. Of {endings} it is known"
        return [Problem("cohort.targets.use", message)]
    return []


def reader_of(path: Path) -> str | None:
    """The reader that the ending of a file names by itself, or None."""
    return "h5" if _ending(path) in HDF5 else READERS.get(_ending(path))


def _ending(path: Path) -> str:
    """The ending in lower case, with the one before ``.gz``."""
    endings = [suffix.lower() for suffix in path.suffixes[-2:]]
    return "".join(endings) if endings[-1:] == [".gz"] else "".join(endings[-1:])
