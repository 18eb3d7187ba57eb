"""Words in columns of numbers: collected over the whole file, and told in one error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hcat_builtin.readers.tables.cells import Cells
from hcat_builtin.readers.tables.text_cells import LARGEST, only
from hcat_core.errors import DataError
from hcat_core.text.file_rows import Line, named_row
from hcat_core.text.quoting import shown

MOST_DISTINCT = 5  # a column with more words than these is one of text
SHOWN = 12  # columns
_AMOUNT = r"[+-]?[0-9]+(?:[.,'][0-9]+)*"
_THOUSANDS = r"[+-]?[0-9]{1,3}(?:[.,'][0-9]{3})+(?:[.,][0-9]+)?"
_QUANTITY = re.compile(
    rf"[<>\u2264\u2265]=? ?{_AMOUNT}|{_AMOUNT}(?: ?%| [a-zA-Zµμ/]+)|{_THOUSANDS}|[\u2212\u2013]{_AMOUNT}"
)
"""A number with a sign, a unit or marks that are not read; also with the minus of a text program."""


@dataclass
class _Words:
    """The words of one column."""

    row: int
    text: str
    cells: int = 0
    distinct: set[str] = field(default_factory=set)


class WordSearch:
    """Collects the cells that are no numbers, by column.

    Args:
        names: of the columns that are read as numbers.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.found: dict[str, _Words] = {}
        self.truths: dict[str, int] = {}  # cells that are True or False
        self.measured = np.zeros(len(names), np.int64)  # cells that are numbers

    def look(self, cells: Cells, low: np.ndarray, high: np.ndarray) -> bool:
        """Take in a chunk; whether all cells up to here are numbers or empty.

        Args:
            cells: of the chunk.
            low: (k,) the smallest number of each column.
            high: (k,) the largest.
        """
        for name, texts in cells.words.items():
            self._add(name, cells.first, texts)
        for column in np.flatnonzero((high > LARGEST) | (low < -LARGEST)).tolist():
            numbers = cells.numbers[:, column]
            texts = only(numbers.astype(str).astype(object), np.abs(numbers) > LARGEST)
            self._add(self.names[column], cells.first, texts)
        counts = len(cells.ids) - np.isnan(cells.numbers).sum(axis=0)
        if cells.truths:
            for name, count in zip(self.names, counts.tolist(), strict=True):
                if name in cells.truths:
                    self.truths[name] = self.truths.get(name, 0) + count
        self.measured += counts
        return not self.found

    def refuse(self, source: str, line: Line) -> None:
        """Refuse the words of all columns.

        Args:
            source: the file.
            line: of a row in it.

        Raises:
            DataError: with the first word of each column, how many there are, and the ways out.
        """
        if self.found:
            raise DataError(self._message(source, line))
        numbers = dict(zip(self.names, self.measured.tolist(), strict=True))
        mixed = [name for name, count in self.truths.items() if count < numbers[name]]
        if mixed:
            raise DataError(
                f"{source}: column {', '.join(mixed)}: True and False stand among numbers. Write 1 and 0."
            )

    def _add(self, name: str, first: int, texts: np.ndarray) -> None:
        rows = np.flatnonzero(texts != None)  # noqa: E711, of every cell
        words = self.found.setdefault(name, _Words(first + int(rows[0]), str(texts[rows[0]]).strip()))
        words.cells += len(rows)
        if len(words.distinct) <= MOST_DISTINCT:
            words.distinct.update(str(text).strip() for text in set(texts[rows].tolist()))

    def _message(self, source: str, line: Line) -> str:
        numbers = dict(zip(self.names, self.measured.tolist(), strict=True))
        parts = [
            f"column {name}, {named_row(words.row, line)}: {shown(words.text)} is not a number"
            + (f" ({words.cells} such cells)" if words.cells > 1 else "")
            for name, words in list(self.found.items())[:SHOWN]
        ]
        more = f"; {len(self.found) - SHOWN} more columns" if len(self.found) > SHOWN else ""
        text = [name for name, words in self.found.items() if not numbers[name]]
        mixed = [words.distinct for name, words in self.found.items() if numbers[name]]
        return f"{source}: {'; '.join(parts)}{more}. {' '.join(self._advice(text, set().union(*mixed)))}"

    def _advice(self, text: Sequence[str], among_numbers: set[str]) -> list[str]:
        """The ways out.

        Args:
            text: columns without a number.
            among_numbers: words of all other columns.
        """
        words = among_numbers.union(*(self.found[name].distinct for name in text))
        few = sorted(word for word in among_numbers if not _QUANTITY.fullmatch(word))
        advice = []
        if any(map(_QUANTITY.fullmatch, words)):
            advice.append(
                "Write quantities as numbers alone, without units, signs such as % and < and marks between "
                "thousands."
            )
        if text:
            advice.append(f"Put columns of categories into one_hot = {_list(text)}, others into drop.")
        if few:
            listed = _list(few) if len(few) <= MOST_DISTINCT else "[...]"
            advice.append(
                f"Among numbers, words that mean not measured go into missing = {listed}; otherwise "
                "correct the cells, or name the column in one_hot or drop."
            )
        if any("," in word for word in among_numbers):
            advice.append('Where commas are decimal marks: decimal = ",".')
        return advice


def _list(names: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in names[:SHOWN])
    return f"[{listed}{', ...' if len(names) > SHOWN else ''}]"
