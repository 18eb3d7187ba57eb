"""Rows whose ids are slides: their patients, and the rows of slides that the slide map names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hcat_builtin.readers.slide_matching import Unmapped, match_slides
from hcat_core.data.patient_ids import refuse_ambiguous
from hcat_core.reading import ModalityTable


def rows_of_slides(
    raw: np.ndarray, source: str, slide_map: Path, unmapped: Unmapped
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The patient of each row of a file whose ids are slides.

    Args:
        raw: (R,) ids as the file has them.
        source: the file, for messages.
        slide_map: a CSV file (see ``read_slide_map``).
        unmapped: whether slides that the map does not name are refused or left out.

    Returns:
        (R,) patients, None where the slide is left out; (R,) bool, which rows are read; findings.

    Raises:
        DataError: as ``match_slides``.
    """
    refuse_ambiguous(raw, source)
    names = _as_text(raw)
    matched = match_slides(list(dict.fromkeys(names)), source, slide_map, unmapped)
    patients = np.array(list(map(matched.patients.get, names)), dtype=object)
    kept = np.fromiter(map(matched.patients.__contains__, names), bool, len(names))
    return patients, kept, matched.findings()


def rows_of_table(
    table: ModalityTable, part: slice, values: np.ndarray, kept: np.ndarray | None
) -> ModalityTable:
    """Some rows of a table with new values.

    Args:
        table: of all rows; its values are not used.
        part: the rows.
        values: (r, d) of these rows.
        kept: (r,) bool, which of these rows to keep; None for all.
    """

    def chosen(column: np.ndarray | None) -> np.ndarray | None:
        return None if column is None else column[part] if kept is None else column[part][kept]

    return ModalityTable(
        ids=table.ids[part] if kept is None else table.ids[part][kept],
        values=values if kept is None or kept.all() else values[kept],
        weights=chosen(table.weights),
        quality=chosen(table.quality),
        features=table.features,
        n_rows=chosen(table.n_rows),
        patients=table.patients,
    )


def _as_text(raw: np.ndarray) -> list[str]:
    """Ids as text: bytes decoded, whole numbers without a point."""
    if raw.dtype.kind == "f":
        raw = np.array([int(one) if one.is_integer() else one for one in raw.tolist()], dtype=object)
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in raw.tolist()]
