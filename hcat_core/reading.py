"""The reader's contract and its records; without torch, so that a process that only reads starts fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

QUALITY_COLUMN = "hcat_quality"
"""What ``hcat convert`` calls the quality of each row where a layout has no name of its own for it."""

COUNT_COLUMN = "hcat_n_rows"
"""What ``hcat convert`` calls the number of rows that each row was aggregated from, in every layout."""


@dataclass(frozen=True)
class ModalityTable:
    """Rows of one modality as a file gives them: R rows, d columns, one or several rows a patient.

    Attributes:
        ids: R raw patient ids (str, bytes or numbers); the core normalises them.
        values: (R, d) floating; a value that is not finite was not measured.
        weights: (R,) non-negative weight of each row in its patient's mean, or None for equal ones.
        quality: (R,) score of each row, clipped to [0, 1] by the core, or None for 1.
        features: d names, or () where the file has none.
        n_rows: (R,) whole numbers, the rows that each row was aggregated from already, or None for 1.
        patients: how many the whole file names at most, where the reader knows before it has read it.
    """

    ids: np.ndarray
    values: np.ndarray
    weights: np.ndarray | None = None
    quality: np.ndarray | None = None
    features: tuple[str, ...] = ()
    n_rows: np.ndarray | None = None
    patients: int | None = None


@dataclass(frozen=True)
class ColumnTable:
    """Columns of outcomes and groups, a row per patient: ``ids`` (R,) raw, each column (R,)."""

    ids: np.ndarray
    columns: Mapping[str, np.ndarray]


@runtime_checkable
class Reader(Protocol):
    """One modality's file. ``source`` names it in messages."""

    source: str

    def read(self) -> Iterator[ModalityTable]:
        """The rows, in chunks small enough for bounded memory (about 8 MiB of values each).

        Raises:
            DataError: for a file that cannot be trusted or says nothing usable.
        """
        ...

    def read_columns(self, names: list[str]) -> ColumnTable:
        """Outcome, time, event or group columns of the same file, by name.

        Raises:
            DataError: naming the column that the file lacks and those it has.
        """
        ...


@runtime_checkable
class ViewReader(Protocol):
    """A reader whose rows need not be copied by whom has done with them before asking for more."""

    def read_views(self) -> Iterator[ModalityTable]:
        """As ``read``, but a table's ``values`` are valid until the next table is asked for.

        They may even change while they are looked at: copy what is to be checked, then check the copy.

        Raises:
            DataError: as ``read`` does.
        """
        ...


@runtime_checkable
class DescribingReader(Protocol):
    """A reader that says which of its layouts it found in the file, and by what it knew it."""

    def describe(self) -> str:
        """One line for ``hcat inspect``; names of datasets and counts, never a patient id.

        Raises:
            DataError: as ``read`` does.
        """
        ...


def run_starts(values: np.ndarray) -> np.ndarray:
    """Where each run of equal values begins."""
    if values.strides == (0,):  # one value, said of many rows
        return np.zeros(min(1, len(values)), np.int64)
    begins = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=begins[1:], casting="unsafe")
    return np.flatnonzero(begins)
