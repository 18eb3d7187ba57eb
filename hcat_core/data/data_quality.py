"""Find likely faults in a cohort: duplicated embeddings, rows of zeros, ids that look like one patient.

They are warnings, unlike leaks (``leakage``), and stop a run only under ``--strict``. Messages name
patients by row number, never by id.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.data.assembly import ReadReport
from hcat_core.data.splits import Split
from hcat_core.errors import DataError
from hcat_core.text.counted import counted

DISTINCT = 8  # with fewer distinct values in a row, two patients may be equal by chance
MOST_SHARING = 5  # ids with one stem; more of them are numbered patients, not records of one
SUFFIX = re.compile(r"[-_ ./]([0-9]{1,2}|[A-Za-z])$")
SHOWN = 5
NO_ID = frozenset(("na", "n/a", "#n/a", "null", "unknown", "missing", "?", ".", "-"))


@dataclass(frozen=True)
class QualityIssue:
    """One likely fault: its ``kind`` (file, unmeasured, duplicate, empty, shared_id or no_id) and words."""

    kind: str
    message: str


@dataclass(frozen=True)
class QualityChecks:
    """Which modalities could be checked, by name; ids are always checked.

    Attributes:
        duplicates: those in which patients can be compared: at least two of them have ``DISTINCT`` distinct
            values or more.
        zeros: those with several features, in which nothing but zeros is looked for.
    """

    duplicates: Sequence[str]
    zeros: Sequence[str]


def quality_checks(cohort: Cohort) -> QualityChecks:
    """The modalities that ``find_quality_issues`` can check."""
    columns = enumerate(cohort.layout.modalities)
    compared = tuple(m.name for column, m in columns if len(_comparable(cohort, column)) > 1)
    return QualityChecks(compared, tuple(m.name for m in cohort.layout.modalities if m.width > 1))


def find_quality_issues(
    cohort: Cohort, report: ReadReport, split: Split | None = None
) -> list[QualityIssue]:
    """All likely faults of a cohort; with a split, messages count those on both sides of it.

    Args:
        cohort: all patients.
        report: of reading it, which has what the readers found.
        split: of its patients.
    """
    sides = None if split is None else split.names(len(cohort))
    of_files = [QualityIssue("file", message) for message in report.findings]
    found = [*_unmeasured(cohort, report), *_duplicates(cohort, sides), *_empty(cohort)]
    return [*of_files, *found, *_shared_ids(cohort, sides), *_no_ids(cohort)]


def refuse_unmeasured(cohort: Cohort, report: ReadReport) -> None:
    """Refuse a cohort in which nothing was measured: nothing can be learned, whatever its outcomes are.

    Raises:
        DataError: with the files of all modalities.
    """
    if len(cohort) and not bool(cohort.present.any()):
        sources = "; ".join(f"{one.name} from {one.source}" for one in report.modalities)
        raise DataError(
            f"no patient has a measured value in any modality: every cell is empty or not a finite number "
            f"({sources}). Are these the right files and columns?"
        )


def refuse_quality_issues(issues: list[QualityIssue]) -> None:
    """Stop under ``--strict`` if there are any.

    Raises:
        DataError: with all messages.
    """
    if issues:
        lines = "\n".join(f"  {issue.message}" for issue in issues)
        raise DataError(f"--strict: {counted(len(issues), 'finding')} about the cohort:\n{lines}")


def _unmeasured(cohort: Cohort, report: ReadReport) -> list[QualityIssue]:
    """Modalities without a single measured cell: an export of the wrong columns, or a failed one."""
    seen = cohort.present.any(dim=0).tolist()
    return [
        QualityIssue(
            "unmeasured",
            f"{one.source}: no patient has a measured value of {one.name}: every cell is empty or not a "
            "finite number. Is it the right file? Otherwise leave the modality out.",
        )
        for one, has in zip(report.modalities, seen, strict=True)
        if not has
    ]


def _duplicates(cohort: Cohort, sides: list[str] | None) -> list[QualityIssue]:
    """Different patients with identical values in a modality."""
    issues = []
    for column, modality in enumerate(cohort.layout.modalities):
        rows = _comparable(cohort, column)
        if len(rows) < 2:
            continue
        cells = cohort.emb[:, column, : modality.width].numpy()
        keys = np.ascontiguousarray(cells[rows]).view(np.dtype((np.void, cells.itemsize * modality.width)))
        _, place, counts = np.unique(keys[:, 0], return_inverse=True, return_counts=True)
        sets = np.split(rows[np.argsort(place, kind="stable")], np.cumsum(counts)[:-1])
        copies = [sets[number] for number in np.flatnonzero(counts > 1)]
        copies = [group for group in copies if not _one_group(cohort, group)]
        if not copies:
            continue
        crossing = 0
        if sides is not None:
            crossing = sum(
                len({sides[row] for row in group.tolist()} - {"left out"}) > 1 for group in copies
            )
        one = len(copies) == 1
        which_hold = "one set of patients holds" if one else f"{len(copies)} sets of patients hold"
        which = "and is" if one else f"{crossing} of them"
        where = f", {which} on both sides of the split" if crossing else ""
        issues.append(
            QualityIssue(
                "duplicate",
                f"{modality.name}: {which_hold} the same values{where} ({_first_sets(cohort, copies)}). "
                "Are they one patient? cohort.groups keeps such records together.",
            )
        )
    return issues


def _comparable(cohort: Cohort, column: int) -> np.ndarray:
    """Rows of the patients with enough distinct values in a modality not to be equal by chance."""
    ordered = np.sort(cohort.emb[:, column, : cohort.layout.widths[column]].numpy(), axis=1)
    distinct = 1 + (np.diff(ordered, axis=1) != 0).sum(axis=1)
    return np.flatnonzero(distinct >= DISTINCT)


def _empty(cohort: Cohort) -> list[QualityIssue]:
    """Embeddings that are 0 in every cell, which is more often a failed export than a measurement."""
    issues = []
    zero = ((cohort.emb == 0) | ~cohort.measured).all(dim=2) & cohort.present
    for column, modality in enumerate(cohort.layout.modalities):
        rows = zero[:, column].nonzero().squeeze(1).tolist()
        if rows and modality.width > 1:
            message = (
                f"{modality.name}: nothing but zeros for {counted(len(rows), 'patient')} "
                f"({_first_lines(cohort, rows)} of predictions.csv). If nothing was measured, leave them "
                "out of the file or write NaN."
            )
            issues.append(QualityIssue("empty", message))
    return issues


def _shared_ids(cohort: Cohort, sides: list[str] | None) -> list[QualityIssue]:
    """Ids that differ only in a short ending, such as 017_1 and 017_2."""
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
        f"ids differ only in their ending: {_sets_in_words(cohort, shared, sides)}. Are they records of "
        "one patient? cohort.groups keeps them together."
    )
    return [QualityIssue("shared_id", message)]


def _no_ids(cohort: Cohort) -> list[QualityIssue]:
    """Ids that are words for "not known", as R writes NA: their rows became one patient."""
    rows = [row for row, patient in enumerate(cohort.patient_ids) if patient.casefold() in NO_ID]
    if not rows:
        return []
    message = (
        f"the id in {_first_lines(cohort, rows)} of predictions.csv is a word that often means "
        '"not known", such as NA: all rows of '
        "the files with it are taken for one patient. If they are of several or of nobody, give each an "
        "id, or delete them."
    )
    return [QualityIssue("no_id", message)]


def _sets_in_words(cohort: Cohort, sets: list[np.ndarray], sides: list[str] | None) -> str:
    """The first sets, the number of further sets, and of those on both sides of the split."""
    text = _first_sets(cohort, sets)
    if sides is not None:
        crossing = sum(len({sides[row] for row in rows.tolist()} - {"left out"}) > 1 for rows in sets)
        if crossing:
            text += f" ({crossing} of {len(sets)} sets on both sides of the split)"
    return text


def _first_sets(cohort: Cohort, sets: Sequence[np.ndarray]) -> str:
    """Where the first sets are, and the number of further sets: a message has an end."""
    text = "; ".join(_first_lines(cohort, rows.tolist()) for rows in sets[:SHOWN])
    more = f"; and {len(sets) - SHOWN} more sets" if len(sets) > SHOWN else ""
    return f"{text}{more} of predictions.csv"


def _first_lines(cohort: Cohort, rows: Sequence[int]) -> str:
    """Lines of the first patients in predictions.csv, and how many there are where some are left out.

    A patient is found by a line of the file that has ids anyway: messages name no ids. Patients without any
    modality are not in it.
    """
    line = cohort.present.any(dim=1).cumsum(dim=0) + 1  # the header is line 1
    first = ", ".join(str(int(line[row])) for row in rows[:SHOWN])
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"line{'' if len(rows) == 1 else 's'} {first}{more}"


def _one_group(cohort: Cohort, rows: np.ndarray) -> bool:
    return cohort.groups is not None and len({cohort.groups[row] for row in rows.tolist()}) == 1
