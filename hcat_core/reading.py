"""The contract of readers and its records. Imports no torch: a process that only reads starts fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np

QUALITY_COLUMN = "hcat_quality"
"""Name of the column for each row's quality that ``hcat convert`` writes, where a layout has none."""

COUNT_COLUMN = "hcat_n_rows"
"""Name of the column in which ``hcat convert`` writes from how many rows each row was aggregated."""


@dataclass(frozen=True)
class ModalityTable:
    """Rows of one modality as a file has them: R rows, d columns, one or more rows per patient.

    Attributes:
        ids: R raw patient ids (str, bytes or numbers); the core normalises them.
        values: (R, d) floating point; a value that is not finite was not measured.
        weights: (R,) non-negative weight of each row in its patient's mean, or None for equal weights.
        quality: (R,) score of each row, clipped to [0, 1] by the core, or None for scores of 1.
        features: d names, or () if the file has none.
        n_rows: (R,) whole numbers, from how many rows each row was aggregated already, or None for 1.
        patients: at most how many patients the file names, if the reader knows it before reading the rows.
        findings: what a user should know about the file and would not see in the values, such as slides
            without a file: one sentence each, that names columns and slides, no patients. The last table of
            a file can have some and no rows. ``hcat inspect`` and ``hcat run`` show them, and ``--strict``
            stops at them.
    """

    ids: np.ndarray
    values: np.ndarray
    weights: np.ndarray | None = None
    quality: np.ndarray | None = None
    features: tuple[str, ...] = ()
    n_rows: np.ndarray | None = None
    patients: int | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnTable:
    """Outcome and group columns of a file: raw ``ids`` (R,), columns (R,), and findings as of modalities.

    A column is numbers where the file has numbers in every cell that is not empty, otherwise text as it
    stands there. An empty cell is NaN among numbers and None among text; no word means "not measured".
    Durations are timedelta64, with NaT for an empty cell: they have their unit.
    """

    ids: np.ndarray
    columns: Mapping[str, np.ndarray]
    findings: tuple[str, ...] = ()


Cells = Literal["numbers", "text", "mixed", "dates", "empty", "repeated"]


@dataclass(frozen=True)
class ColumnSurvey:
    """What one column of a file holds.

    Attributes:
        name: of the column.
        cells: numbers, text, both (mixed), dates, nothing, or the name of several columns.
        distinct: how many different values there are, of text and of whole numbers with few values; else 0.
        values: these with their counts, the most frequent first; () where there are many.
        words: the text among numbers.
        codes: numbers that look like codes for "not measured", such as -999.
    """

    name: str
    cells: Cells
    distinct: int = 0
    values: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, int] = field(default_factory=dict)
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileSurvey:
    """The columns of a file, without that of ids: what ``hcat init`` writes a recipe from.

    Attributes:
        ids: the column of patient ids; None where none has a usual name.
        names: of all columns.
        patients: (R,) raw ids; none without a column of them.
        columns: all but that of ids.
    """

    ids: str | None
    names: tuple[str, ...]
    patients: np.ndarray
    columns: tuple[ColumnSurvey, ...]


@runtime_checkable
class Reader(Protocol):
    """Reads the file or folder of one modality; ``source`` names it in messages."""

    source: str

    def read(self) -> Iterator[ModalityTable]:
        """The rows, in chunks of bounded size (about 8 MiB of values each).

        Raises:
            DataError: for a file that cannot be trusted or has nothing usable.
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
    """A reader that can yield views, valid until the next chunk is requested."""

    def read_views(self) -> Iterator[ModalityTable]:
        """As ``read``, but a table's ``values`` are valid until the next table is requested.

        The memory can belong to a process that is not trusted and change at any time: copy the values, then
        check the copy.

        Raises:
            DataError: as ``read``.
        """
        ...


@runtime_checkable
class DescribingReader(Protocol):
    """A reader that can describe the layout that it recognised in the file."""

    def describe(self) -> str:
        """One line for ``hcat inspect``: names of datasets and counts, never a patient id.

        Raises:
            DataError: as ``read``.
        """
        ...


@runtime_checkable
class SurveyingReader(Protocol):
    """A reader of files with named columns that can say what each column holds."""

    def survey(self) -> FileSurvey:
        """All columns of the file, whatever the recipe takes of them.

        Raises:
            DataError: as ``read``.
        """
        ...


@runtime_checkable
class TextColumnReader(Protocol):
    """A reader of files in which numbers have a spelling: 01 and 1 are one number and two names."""

    def read_text_columns(self, names: list[str]) -> ColumnTable:
        """Columns as ``read_columns`` has them, with all cells as text, as it stands in the file.

        Raises:
            DataError: as ``read_columns``.
        """
        ...


@runtime_checkable
class LineReader(Protocol):
    """A reader of text files, in which people find a row by its line."""

    def line(self, row: int) -> int | None:
        """The line on which a row begins, the file's first line being 1; None in a file without lines.

        Args:
            row: its number, counted from 0 and without the header.
        """
        ...


@runtime_checkable
class VocabularyReader(Protocol):
    """A reader that makes features from what it finds in the file, such as one for each category."""

    def with_features(self, features: tuple[str, ...]) -> Reader:
        """The same reader, that makes the features of a trained run: one patient's file has them all.

        Args:
            features: the names of the modality's features in training. A category that is not among them is
                not measured, and a finding says so; a column that the file lacks is left out.
        """
        ...


def run_starts(values: np.ndarray) -> np.ndarray:
    """Index of the first value of each run of equal values."""
    if values.strides == (0,):  # one value, broadcast to many rows
        return np.zeros(min(1, len(values)), np.int64)
    begins = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=begins[1:], casting="unsafe")
    return np.flatnonzero(begins)
