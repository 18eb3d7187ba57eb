"""One column of outcomes, groups or splits: its cells as numbers and as they stand in the file."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from hcat_core.data.missing_values import Missing
from hcat_core.errors import DataError
from hcat_core.text.file_rows import Line, named_rows, no_line
from hcat_core.text.quoting import shown

SHOWN = 5
DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?")


@dataclass(frozen=True)
class Column:
    """R cells of a column.

    Attributes:
        source: the file.
        name: of the column.
        values: (R,) objects as the file has them, text without outer blanks; None where a cell is empty.
        numbers: (R,) float64; NaN where a cell is empty, or no finite number.
        rows: (R,) the cells' rows in the file.
        line: of a row in the file, for messages.
        durations: whether the file holds durations, which are then in days.
    """

    source: str
    name: str
    values: np.ndarray
    numbers: np.ndarray
    rows: np.ndarray
    line: Line = no_line
    durations: bool = False

    def __getitem__(self, rows: np.ndarray) -> Column:
        return replace(self, values=self.values[rows], numbers=self.numbers[rows], rows=self.rows[rows])

    @cached_property
    def filled(self) -> np.ndarray:
        """(R,) bool: the cell is not empty."""
        return np.asarray(pd.notna(self.values))

    @cached_property
    def codes(self) -> np.ndarray:
        """(R,) equal for equal values, of which numbers are in any spelling; -1 for an empty cell."""
        keys = np.where(np.isnan(self.numbers), self.values, self.numbers.astype(object))
        return np.asarray(pd.factorize(keys)[0])

    @property
    def not_numbers(self) -> np.ndarray:
        """Places of the cells that are neither empty nor a finite number."""
        return np.flatnonzero(self.filled & np.isnan(self.numbers))

    def text(self, place: int) -> str:
        """One cell for a message."""
        value = self.values[place]
        return (
            shown(value)
            if isinstance(value, str)
            else f"{value:.15g}"
            if isinstance(value, float)
            else str(value)
        )

    def listed(self, places: np.ndarray) -> str:
        """The first of some cells for a message: ``line 7 "NA", line 9 "x", and 3 more``."""
        first = places[:SHOWN].tolist()
        names = named_rows(self.rows[first].tolist(), self.line)
        some = ", ".join(f"{name} {self.text(place)}" for name, place in zip(names, first, strict=True))
        return some + (f", and {len(places) - SHOWN} more" if len(places) > SHOWN else "")

    def counted(self, places: np.ndarray) -> list[tuple[str | float, int]]:
        """The distinct values of some cells, with how often they occur; the most frequent first."""
        _, first, counts = np.unique(self.codes[places], return_index=True, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return [(self.values[places[first[one]]], int(counts[one])) for one in order]


def parse_column(
    source: str, name: str, values: np.ndarray, missing: Missing, line: Line = no_line
) -> Column:
    """Take the cells of a column apart: numbers, text, and what is empty.

    Args:
        source: the file.
        name: of the column.
        values: (R,) cells as the reader has them.
        missing: what stands for an empty cell.
        line: of a row in the file, for messages.

    Raises:
        DataError: for a column of dates.
    """
    array = np.asarray(values).reshape(-1)
    kind = "" if array.dtype.kind != "O" else pd.api.types.infer_dtype(array, skipna=True)
    if array.dtype.kind == "M" or kind in ("datetime", "datetime64", "date"):
        raise DataError(f"{source}: column {name} holds dates. {OF_A_DATE}")
    durations = array.dtype.kind == "m" or kind in ("timedelta", "timedelta64")
    if durations:
        array = pd.to_timedelta(pd.Series(array)).dt.total_seconds().to_numpy() / 86400
    elif kind == "boolean":
        array = pd.Series(array).astype("boolean").to_numpy(dtype=np.float64, na_value=np.nan)
    if array.dtype.kind in "biuf":
        objects, numbers = array.astype(object), array.astype(np.float64)
        objects[np.isnan(numbers)] = None
    else:
        objects, numbers = _parse_text(array)
    empty = missing.among(numbers)
    if missing.texts and objects.dtype.kind == "O":
        empty |= pd.Series(objects, dtype=object).isin(missing.texts).to_numpy()
    objects[empty], numbers[empty | ~np.isfinite(numbers)] = None, np.nan
    return Column(source, name, objects, numbers, np.arange(len(array)), line, durations)


def number_column(column: Column, use: str) -> np.ndarray:
    """(R,) float64, NaN where a cell is empty.

    Args:
        column: with R cells.
        use: what the column is for, in the message.

    Raises:
        DataError: naming the first cells that are no numbers.
    """
    wrong = column.not_numbers
    if not len(wrong):
        return column.numbers
    first = column.values[wrong[0]]
    if isinstance(first, str) and DATE.fullmatch(first):
        raise DataError(
            f"{column.source}: column {column.name} holds dates, {column.listed(wrong)}. {OF_A_DATE}"
        )
    raise DataError(
        f"{column.source}: column {column.name} ({use}): {_cells(len(wrong))} no number: "
        f"{column.listed(wrong)}. {_remedy([str(value) for value, _ in column.counted(wrong)])}"
    )


OF_A_DATE = (
    "A time is how long a patient was followed, from the start to the event or the last contact: subtract "
    "the date of the start from it, and name the column with the days."
)


def cell_key(value: object) -> str | float:
    """What makes two cells equal: their number in any spelling, or their text without outer blanks."""
    text = str(value).strip()
    number = pd.to_numeric(text, errors="coerce") if text else np.nan
    return float(number) if np.isfinite(number) else text


def _remedy(values: list[str]) -> str:
    """What to do with cells that are no numbers; never to call a measured time not known."""
    words = [value for value in values if not re.search(r"[0-9]", value)]
    texts = []
    if len(words) < len(values):
        texts.append(
            "Write numbers alone: with a decimal point, and without units and marks between thousands."
        )
    if words:
        listed = ", ".join(shown(value) for value in words[:SHOWN])
        texts.append(
            f"Correct the file; if that means not known, say so: cohort.targets.missing = [{listed}]."
        )
    return " ".join(texts)


def _cells(number: int) -> str:
    return "1 cell is" if number == 1 else f"{number} cells are"


def _parse_text(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R,) objects without outer blanks, None where empty, and (R,) numbers, NaN where there is none."""
    codes, unique = pd.factorize(array.astype(object))  # -1 for None, NaN and NaT
    cells = np.array([*map(_cell, unique), None], dtype=object)
    numbers = pd.to_numeric(pd.Series(cells), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return cells[codes], numbers[codes]


def _cell(value: object) -> object:
    """One value without outer blanks, bytes as text; None if nothing is left."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return (text.strip() or None) if isinstance(text, str) else text
