"""What text tables and Parquet have in common: chunks of cells, and a table's interface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from hcat_builtin.readers.chunks import rows_per_chunk

MOST_ROWS = 16_384  # of a chunk
FEWEST_ROWS = 256  # each chunk costs some microseconds a column


@dataclass(frozen=True)
class Cells:
    """A chunk of R rows of a table.

    Attributes:
        first: the number of the first row in the file, from 0.
        ids: (R,) raw patient ids.
        texts: for each column that is read as text: (R,) text without surrounding blanks, None for an empty
            cell.
        numbers: (R, k) float64 of the columns that are read as numbers; NaN where empty or a word.
        words: for each of these columns that has words: (R,) their text, None in all other cells.
        truths: the columns of True and False.
    """

    first: int
    ids: np.ndarray
    texts: Mapping[str, np.ndarray]
    numbers: np.ndarray
    words: Mapping[str, np.ndarray]
    truths: frozenset[str]


class TableFile(Protocol):
    """A file with named columns, whatever its format."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, without surrounding blanks; one can occur several times."""
        ...

    @property
    def findings(self) -> tuple[str, ...]:
        """What a user should know about the file."""
        ...

    @property
    def kind(self) -> str:
        """What ``hcat inspect`` calls the format."""
        ...

    def refuse_as_numbers(self, names: Sequence[str]) -> None:
        """Refuse columns that cannot be numbers whatever their cells are, such as dates.

        Raises:
            DataError: naming all of one kind.
        """
        ...

    def converted(self, names: Sequence[str]) -> tuple[str, ...]:
        """A finding for columns whose values are converted, such as durations to days."""
        ...

    def chunks(self, ids: str, texts: Sequence[str], numbers: Sequence[str]) -> Iterator[Cells]:
        """The rows of some columns: the ids as they are, others as text, others as numbers.

        Raises:
            DataError: for what cannot be read.
        """
        ...

    def columns(
        self, ids: str, names: Sequence[str], as_text: bool = False
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Raw ids (R,) and columns (R,): numbers where all cells are (unless ``as_text``), otherwise text.

        Raises:
            DataError: for what cannot be read.
        """
        ...

    def line(self, row: int) -> int | None:
        """The line on which a row begins, the first being 1; None in a file without lines."""
        ...


def chunk_rows(columns: int) -> int:
    """Rows of a chunk of about 8 MiB of float32 values."""
    return min(MOST_ROWS, max(FEWEST_ROWS, rows_per_chunk(2 * max(1, columns))))


def header_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names without surrounding blanks; a column without one is called as pandas calls it."""
    stripped = (name.strip() for name in names)
    return tuple(name or f"Unnamed: {place}" for place, name in enumerate(stripped))


def repeated(names: Sequence[str]) -> dict[str, list[int]]:
    """The numbers, from 1, of the columns that share a name."""
    twice = {name for name, count in Counter(names).items() if count > 1}
    places: dict[str, list[int]] = {name: [] for name in names if name in twice}
    for place, name in enumerate(names, 1):
        if name in twice:
            places[name].append(place)
    return places
