"""The patient of each slide, from a CSV file as slide collections have it."""

from __future__ import annotations

import csv
from pathlib import Path, PurePath

from hcat_builtin.readers.plain_file import require_plain_file
from hcat_core.errors import DataError

SLIDE_COLUMNS = ("slide_id", "slide", "filename", "file", "image", "image_id", "wsi")
PATIENT_COLUMNS = ("patient_id", "patient", "case_id", "case", "pid")
SUFFIXES = (".h5", ".hdf5", ".pt", ".pth", ".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".czi")


def read_slide_map(path: Path) -> dict[str, str]:
    """Slide name without its file ending -> raw patient id.

    Raises:
        DataError: for a path that is no file, a file without the two columns, or a slide with two patients.
    """
    require_plain_file(path, "a slide map")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header: list[str] = next(reader, [])
            lines = [(reader.line_num, line) for line in reader if line]
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV: {error}") from None
    columns = {name.strip().lower(): place for place, name in enumerate(header)}
    slide = next((columns[name] for name in SLIDE_COLUMNS if name in columns), None)
    patient = next((columns[name] for name in PATIENT_COLUMNS if name in columns), None)
    if slide is None or patient is None:
        raise DataError(
            f"{path}: needs a slide column ({', '.join(SLIDE_COLUMNS[:3])}) and a patient column "
            f"({', '.join(PATIENT_COLUMNS[:3])}); it has {', '.join(header)}."
        )
    result: dict[str, str] = {}
    for number, line in lines:
        if len(line) > len(header):
            raise DataError(f"{path}: line {number} has {len(line)} values for {len(header)} columns.")
        line += [""] * (len(header) - len(line))
        if _is_empty(line[slide]) or _is_empty(line[patient]):
            raise DataError(f"{path}: line {number} lacks its slide or its patient.")
        stem = slide_name(line[slide])
        if result.setdefault(stem, line[patient]) != line[patient]:
            raise DataError(f"{path}: the slide {stem} has two patients.")
    return result


def slide_name(name: str) -> str:
    """A slide's name without known file endings; other dots belong to the name (TCGA names have many)."""
    base = PurePath(name.strip()).name
    while ending := next((s for s in SUFFIXES if base.lower().endswith(s) and len(base) > len(s)), ""):
        base = base[: -len(ending)]
    return base


def _is_empty(value: str) -> bool:
    return value.strip().lower() in ("", "na", "n/a", "nan", "none", "null", "<na>")
