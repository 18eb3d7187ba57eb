"""Raw ids of many rows -> numbers of patients, which all files of a cohort share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np

from hcat_core.data.patient_ids import IdNormaliser
from hcat_core.reading import run_starts


class PatientIndex:
    """The number of each patient, by normalised id, in the order in which files name them.

    The files of a cohort mostly name the same patients in the same order. How the first one writes their
    ids is kept as long as it has one patient after the other, so that the next need only be compared.
    """

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.spelling: dict[str, str] = {}  # of ids that files spell otherwise: as the first one does
        self._written: list[np.ndarray] = []  # raw ids of the patients 0 to _kept
        self._kept = 0

    def __len__(self) -> int:
        return len(self.ids)

    def numbers(self, ids: Sequence[str], raw: np.ndarray) -> np.ndarray:
        """(R,) number of each id; new ones get the next. ``raw`` is how the file writes them."""
        before = len(self.ids)
        new = [one for one in dict.fromkeys(ids) if one not in self.ids]
        self.ids.update(zip(new, count(before)))
        if len(new) == len(raw):
            self._keep(raw, before)
            return np.arange(before, before + len(new))
        return np.fromiter(map(self.ids.__getitem__, ids), np.int64, len(ids))

    def written(self, raw: np.ndarray, first: int) -> bool:
        """Whether these are the patients from number ``first`` on, written as at first."""
        if not first + len(raw) <= self._kept:
            return False
        if len(self._written) > 1:
            self._written = [np.concatenate(self._written)]
        known = self._written[0][first : first + len(raw)]
        return raw.dtype.kind == known.dtype.kind and bool((raw == known).all())

    def _keep(self, raw: np.ndarray, first: int) -> None:
        alike = not self._written or self._written[0].dtype.kind == raw.dtype.kind
        # Of objects, text only: others may be equal and be no ids, as True is 1.
        text = raw.dtype.kind != "O" or set(map(type, raw.tolist())) <= {str, bytes}
        if first == self._kept and alike and text:
            self._written.append(raw)
            self._kept += len(raw)


class FileIds:
    """The ids of one file, as they come: their patients' numbers, and no two spellings of one id."""

    def __init__(self, source: str, index: PatientIndex) -> None:
        self._book = IdNormaliser(source)
        self._index = index
        self._next = 0  # the patient after the last row's

    def numbers(self, raw: np.ndarray, first_row: int) -> np.ndarray:
        """(R,) number of each row's patient. Python sees each run of equal ids once, not each row.

        Raises:
            DataError: for an id that is none (``first_row`` is the file's row of the first), or two
                spellings of one.
        """
        if not len(raw):
            return np.zeros(0, np.int64)
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
        """The file is read: remember how it spells its ids."""
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
