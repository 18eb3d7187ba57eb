"""Tables of pages: headings, cells and a caption; wide ones are stacked on a phone, long ones folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hcat_core.report.formatting import interval, number
from hcat_core.text.numbers import percent, percent_range

Kind = Literal["text", "number", "mark"]
NARROW = 44  # characters of a row that fit a phone
DASH = "–"
SHEET = 100  # characters of a row that fit a sheet of paper
LONGEST = 40  # characters of a cell, from which on its text is wrapped
LONG = 12  # rows from which on a table with a title is folded
WHOLE = 34  # rows up to which a printed table is not divided among two sheets


@dataclass(frozen=True)
class Column:
    """A column: its heading, and whether it holds text, numbers (to the right) or marks (in the middle)."""

    heading: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Cell:
    """A cell: its text, which may be ``strong``, and what stands in grey behind it."""

    text: str
    soft: str = ""
    strong: bool = False


TableRow = Sequence[Cell | str]


@dataclass(frozen=True)
class PageTable:
    """A table of a page.

    Attributes:
        columns: as many as each row has cells.
        rows: cells, or texts.
        caption: above the table.
        title: by which a long table is folded; without one it never is.
    """

    columns: Sequence[Column]
    rows: Sequence[TableRow]
    caption: str = ""
    title: str = ""

    @property
    def cells(self) -> list[list[Cell]]:
        """The rows, all of cells."""
        return [[Cell(value) if isinstance(value, str) else value for value in row] for row in self.rows]

    def without_dashes(self) -> PageTable:
        """The table without columns that have a dash in every row."""
        kept = [
            place
            for place in range(len(self.columns))
            if any(row[place].text != DASH for row in self.cells) or not self.rows
        ]
        return replace(
            self,
            columns=[self.columns[place] for place in kept],
            rows=[[row[place] for place in kept] for row in self.rows],
        )

    @property
    def wide(self) -> bool:
        """Whether a phone is too narrow for a row."""
        return self._characters > NARROW

    @property
    def dense(self) -> bool:
        """Whether intervals stand below their numbers, because a sheet of paper is too narrow for a row."""
        return self._characters > SHEET

    @property
    def _characters(self) -> int:
        """The characters of a row in one line, where headings are broken between words."""
        longest = [max(map(len, column.heading.split()), default=0) for column in self.columns]
        for row in self.cells:
            for place, cell in enumerate(row):
                text = len(cell.text) + len(cell.soft) + bool(cell.soft)
                longest[place] = max(longest[place], min(text, LONGEST))
        return sum(length + 2 for length in longest)

    @property
    def folded(self) -> bool:
        """Whether the page shows the title alone until a reader asks for the table."""
        return bool(self.title) and len(self.rows) > LONG

    @property
    def short(self) -> bool:
        """Whether the table is printed on one sheet."""
        return len(self.rows) <= WHOLE


def texts(*headings: str) -> list[Column]:
    """Columns of text."""
    return [Column(heading) for heading in headings]


def numbers(*headings: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(heading, "number") for heading in headings]


def figure_cell(value: object, pair: Sequence[float] | None = None, digits: int = 3) -> Cell:
    """A number with its interval, to two digits; a dash for None."""
    return Cell(number(value, digits), interval(pair) if value is not None else "")


def share_cell(share: float | None, pair: Sequence[float] | None = None) -> Cell:
    """A share as whole per cent with its interval; a dash for None."""
    if share is None:
        return Cell(DASH)
    return Cell(percent(share), f"({percent_range(pair)})" if pair else "")
