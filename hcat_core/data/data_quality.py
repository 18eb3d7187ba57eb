"""What a careful reader would ask about before believing a result: copies, empty rows, shared-looking ids.

None of it proves a fault, as a leak does (``leakage``): these are findings, and stop a run under
``--strict`` alone. Patients are named by row number, never by id.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.data.splits import Split
from hcat_core.errors import DataError

DISTINCT = 8  # values in a row, below which two patients may well be alike by chance
MOST_SHARING = 5  # ids of one stem: more are a numbering, not records of one patient
SUFFIX = re.compile(r"[-_ ./]([0-9]{1,2}|[A-Za-z])$")
SHOWN = 5


@dataclass(frozen=True)
class QualityIssue:
    """One finding: ``kind`` is duplicate, empty or shared_id; ``message`` says it in words."""

    kind: str
    message: str


def find_quality_issues(cohort: Cohort, split: Split | None = None) -> list[QualityIssue]:
    """Everything doubtful about a cohort; with a split, copies on both sides of it are said to be so."""
    sides = None if split is None else split.names(len(cohort))
    return [*_duplicates(cohort, sides), *_empty(cohort), *_shared_ids(cohort, sides)]


def refuse_quality_issues(issues: list[QualityIssue]) -> None:
    """Stop under ``--strict``.

    Raises:
        DataError: with every finding.
    """
    if issues:
        lines = "\n".join(f"  {issue.message}" for issue in issues)
        raise DataError(f"--strict: {len(issues)} findings about the cohort:\n{lines}")


def _duplicates(cohort: Cohort, sides: list[str] | None) -> list[QualityIssue]:
    """Different patients with the very same values in a modality."""
    found = []
    for column, modality in enumerate(cohort.layout.modalities):
        cells = cohort.emb[:, column, : modality.width].numpy()
        ordered = np.sort(cells, axis=1)
        distinct = 1 + (np.diff(ordered, axis=1) != 0).sum(axis=1)
        rows = np.flatnonzero(distinct >= DISTINCT)
        if len(rows) < 2:
            continue
        keys = np.ascontiguousarray(cells[rows]).view(np.dtype((np.void, cells.itemsize * modality.width)))
        _, place, counts = np.unique(keys[:, 0], return_inverse=True, return_counts=True)
        copies = [rows[place == group] for group in np.flatnonzero(counts > 1)]
        copies = [group for group in copies if not _one_group(cohort, group)]
        if not copies:
            continue
        crossing = 0
        if sides is not None:
            crossing = sum(
                len({sides[row] for row in group.tolist()} - {"left out"}) > 1 for group in copies
            )
        one = len(copies) == 1
        sets = "one set of patients holds" if one else f"{len(copies)} sets of patients hold"
        which = "and is" if one else f"{crossing} of them"
        where = f", {which} on both sides of the split" if crossing else ""
        said = "; ".join("rows " + ", ".join(map(str, group.tolist())) for group in copies[:SHOWN])
        found.append(
            QualityIssue(
                "duplicate",
                f"{modality.name}: {sets} the same embedding{where} ({said}). "
                "Are they one patient? cohort.groups keeps such records together.",
            )
        )
    return found


def _empty(cohort: Cohort) -> list[QualityIssue]:
    """Embeddings that are 0 in every cell: a failed export, more often than a measurement."""
    found = []
    zero = ((cohort.emb == 0) | ~cohort.measured).all(dim=2) & cohort.present
    for column, modality in enumerate(cohort.layout.modalities):
        rows = zero[:, column].nonzero().squeeze(1).tolist()
        if rows and modality.width > 1:
            said = ", ".join(map(str, rows[:SHOWN])) + (" ..." if len(rows) > SHOWN else "")
            message = (
                f"{modality.name}: nothing but zeros for {len(rows)} patients (rows {said}). If nothing "
                "was measured, leave them out of the file or write NaN."
            )
            found.append(QualityIssue("empty", message))
    return found


def _shared_ids(cohort: Cohort, sides: list[str] | None) -> list[QualityIssue]:
    """Ids that differ in a short ending alone, such as 017_1 and 017_2."""
    stems: dict[str, list[int]] = defaultdict(list)
    for row, patient in enumerate(cohort.patient_ids):
        stem = SUFFIX.sub("", patient)
        if stem != patient and re.search(r"\d", stem):
            stems[stem].append(row)
    shared = [np.array(rows) for rows in stems.values() if 1 < len(rows) <= MOST_SHARING]
    shared = [rows for rows in shared if not _one_group(cohort, rows)]
    if not shared:
        return []
    message = (
        f"ids differ in their ending alone: {_said(shared, sides)}. Are they records of one patient? "
        "cohort.groups keeps them together."
    )
    return [QualityIssue("shared_id", message)]


def _said(sets: list[np.ndarray], sides: list[str] | None) -> str:
    """Rows of the first sets, how many more, and how many are on several sides of the split."""
    text = "; ".join("rows " + ", ".join(map(str, rows.tolist())) for rows in sets[:SHOWN])
    if len(sets) > SHOWN:
        text += f"; and {len(sets) - SHOWN} more sets"
    if sides is not None:
        crossing = sum(len({sides[row] for row in rows.tolist()} - {"left out"}) > 1 for rows in sets)
        if crossing:
            text += f" ({crossing} of {len(sets)} sets on both sides of the split)"
    return text


def _one_group(cohort: Cohort, rows: np.ndarray) -> bool:
    return cohort.groups is not None and len({cohort.groups[row] for row in rows.tolist()}) == 1
