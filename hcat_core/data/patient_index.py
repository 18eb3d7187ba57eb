"""Number the patients of a cohort: from raw ids in rows of files to numbers that all files share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np

from hcat_core.data.patient_ids import IdNormaliser, refuse_ambiguous
from hcat_core.reading import run_starts
from hcat_core.text.file_rows import Line, no_line


class PatientIndex:
    """Numbers patients by normalised id, in the order in which files name them.

    The files of a cohort mostly name the same patients in the same order. The raw ids of the first file are
    remembered as long as no patient repeats, so that those of the next files need only be compared.
    """

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.spelling: dict[str, str] = {}  # of ids that files spell otherwise: as the first one does
        self._written: list[np.ndarray] = []  # raw ids of the patients 0 to _kept
        self._kept = 0

    def __len__(self) -> int:
        return len(self.ids)

    def numbers(self, ids: Sequence[str], raw: np.ndarray) -> np.ndarray:
        """(R,) numbers of ids; new ids get the next numbers. ``raw`` are the ids as the file has them."""
        before = len(self.ids)
        new = [one for one in dict.fromkeys(ids) if one not in self.ids]
        self.ids.update(zip(new, count(before)))
        if len(new) == len(raw):
            self._keep(raw, before)
            return np.arange(before, before + len(new))
        return np.fromiter(map(self.ids.__getitem__, ids), np.int64, len(ids))

    def written(self, raw: np.ndarray, first: int) -> bool:
        """Whether these are the raw ids of the patients from number ``first`` on, as first written."""
        if not first + len(raw) <= self._kept:
            return False
        if len(self._written) > 1:
            self._written = [np.concatenate(self._written)]
        known = self._written[0][first : first + len(raw)]
        return raw.dtype.kind == known.dtype.kind and bool((raw == known).all())

    def _keep(self, raw: np.ndarray, first: int) -> None:
        alike = not self._written or self._written[0].dtype.kind == raw.dtype.kind
        # Of objects only text: others may be equal without being valid ids, as True equals 1.
        text = raw.dtype.kind != "O" or set(map(type, raw.tolist())) <= {str, bytes}
        if first == self._kept and alike and text:
            self._written.append(raw)
            self._kept += len(raw)


class FileIds:
    """Numbers the patients of one file, chunk by chunk, and refuses two spellings of one id."""

    def __init__(self, source: str, index: PatientIndex, line: Line = no_line) -> None:
        self._book = IdNormaliser(source, line)
        self._index = index
        self._next = 0  # the patient after the last row's

    def numbers(self, raw: np.ndarray, first_row: int) -> np.ndarray:
        """(R,) number of each row's patient; each run of equal ids is looked up once.

        Raises:
            DataError: for an invalid id (``first_row`` is the first one's row in the file), or two
                spellings of one id.
        """
        if not len(raw):
            return np.zeros(0, np.int64)
        refuse_ambiguous(raw, self._book.source, first_row, self._book.line)
        starts = run_starts(raw)
        heads = raw if len(starts) == len(raw) else raw[starts]
        if self._index.written(heads, self._next):
            self._book.defer_check(heads)
            numbers = np.arange(self._next, self._next + len(heads))
        else:
            numbers = self._looked_up(heads, starts + first_row)
        self._next = int(numbers[-1]) + 1
        return numbers if len(heads) == len(raw) else np.repeat(numbers, np.diff(starts, append=len(raw)))

    def finish(self) -> None:
        """Remember the spellings of this file, after its last row."""
        for known, text in self._book.respelt().items():
            self._index.spelling.setdefault(known, text)

    def _looked_up(self, heads: np.ndarray, rows: np.ndarray) -> np.ndarray:
        raw = heads.tolist()
        if len(set(raw)) == len(raw):
            return self._index.numbers(self._book.normalize(raw, rows.tolist()), heads)
        import pandas as pd  # rows out of order are rare

        local, unique = pd.factorize(heads, use_na_sentinel=False)
        first = np.zeros(len(unique), np.int64)
        first[local[::-1]] = rows[::-1]
        return self._index.numbers(self._book.normalize(unique.tolist(), first.tolist()), heads)[local]
