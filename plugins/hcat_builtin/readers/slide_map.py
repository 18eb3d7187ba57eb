"""The patient of each slide, from a table as slide collections have it."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

from hcat_builtin.readers.plain_file import require_plain_file
from hcat_builtin.readers.tables.roles import refuse_repeated
from hcat_core.errors import DataError
from hcat_core.text.file_rows import named_row

SLIDE_COLUMNS = ("slide_id", "slide", "filename", "file", "image", "image_id", "wsi")
PATIENT_COLUMNS = ("patient_id", "patient", "case_id", "case", "pid")
SUFFIXES = (".h5", ".hdf5", ".pt", ".pth", ".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".czi")


def read_slide_map(path: Path) -> dict[str, str]:
    """Slide name without its file ending -> raw patient id.

    The file is a table as the reader ``table`` reads them; every cell is text, and only an empty one lacks
    its value.

    Raises:
        DataError: for a path that is no file, a file without the two columns, or a slide with two patients.
    """
    # It imports pandas, and the worker that only reads HDF5 starts faster without it.
    from hcat_builtin.readers.tables.open_table import open_table

    require_plain_file(path, "a slide map")
    table = open_table(path)
    columns = {name.lower(): name for name in reversed(table.names)}
    slide = next((columns[name] for name in SLIDE_COLUMNS if name in columns), None)
    patient = next((columns[name] for name in PATIENT_COLUMNS if name in columns), None)
    if slide is None or patient is None:
        raise DataError(
            f"{path}: needs a slide column ({', '.join(SLIDE_COLUMNS[:3])}) and a patient column "
            f"({', '.join(PATIENT_COLUMNS[:3])}); it has {', '.join(table.names)}."
        )
    refuse_repeated(table.names, [slide, patient], str(path))
    cells = table.columns(patient, [slide, patient], as_text=True)[1]
    rows = [row for row, pair in enumerate(zip(cells[slide], cells[patient], strict=True)) if None in pair]
    if rows:
        more = f", and so do {len(rows) - 1} more" if len(rows) > 1 else ""
        raise DataError(f"{path}: {named_row(rows[0], table.line)} lacks its slide or its patient{more}.")
    result: dict[str, str] = {}
    for name, raw in zip(cells[slide], cells[patient], strict=True):
        stem = slide_name(name)
        if result.setdefault(stem, raw.strip()) != raw.strip():
            raise DataError(f"{path}: the slide {stem} has two patients.")
    return result


def slide_name(name: str) -> str:
    """A slide's name without known file endings; other dots belong to the name (TCGA names have many)."""
    base = PureWindowsPath(name.strip()).name  # both \\ and / stand between folders
    while ending := next((s for s in SUFFIXES if base.lower().endswith(s) and len(base) > len(s)), ""):
        base = base[: -len(ending)]
    return base
