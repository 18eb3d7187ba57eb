"""Every line of a text table has as many values as its header: the others are refused by number."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

import numpy as np

from hcat_core.errors import DataError

MAX_LINE = 16 << 20  # characters
SHOWN = 5


def is_blank(line: str | Sequence[str], separator: str) -> bool:
    """Whether a line, or its values, holds nothing but blanks; such lines are skipped."""
    if not isinstance(line, str):
        return not line or (len(line) == 1 and is_blank(line[0], separator))
    return line.strip(" " if separator == "\t" else " \t") == ""


def holds_nul(path: Path, line: int) -> str:
    """The message for a text table with NUL bytes."""
    return (
        f"{path}: line {line} holds NUL bytes: the file is damaged, or UTF-16 without its mark. Save it as "
        "UTF-8."
    )


@dataclass
class LineCheck:
    """Counts the rows of a table, and collects the lines of another length.

    Attributes:
        path: of the file, for messages.
        separator: between values.
        columns: names in the header.
        line: how many lines of the file came before.
        rows: lines (several of them where a value in quotes has line breaks) that are not blank.
    """

    path: Path
    separator: str
    columns: int
    line: int
    rows: int = 0
    _other: int = 0
    _one_more: int = 0
    _open_end: int = 0  # of these, lines that end with a separator
    _first: list[tuple[int, int]] = field(default_factory=list)

    def take(self, text: str, last: bool = False) -> str:
        """Take in whole lines.

        Returns:
            The lines of a value in quotes that goes on behind the text: to be put in front of what follows.

        Raises:
            DataError: for a quote that does not end, or ends inside of a value.
        """
        if '"' in text:
            return self._with_quotes(text, last)
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        counts = np.fromiter(map(str.count, lines, repeat(self.separator)), np.int64, len(lines))
        wrong = np.flatnonzero(counts != self.columns - 1).tolist()
        blank = sum(
            1 for number in wrong if not self._is_other(lines[number], number + 1, counts[number] + 1)
        )
        self.rows += len(lines) - blank
        self.line += len(lines)
        return ""

    def finish(self) -> None:
        """Refuse the lines of another length, all at once.

        Raises:
            DataError: with their numbers.
        """
        if not self._other:
            return
        first = ", ".join(
            f"line {line} has {count} value{'s' * (count != 1)}" for line, count in self._first
        )
        more = f"; {self._other - SHOWN} more lines have another number, too" * (self._other > SHOWN)
        raise DataError(f"{self.path}: {first} for {self.columns} columns{more}. {self._remedy()}")

    def _remedy(self) -> str:
        name = {",": "comma", ";": "semicolon", "\t": "tab"}[self.separator]
        if self._open_end == self._other == self.rows:
            return (
                f"Every line ends with a {name}, and the header does not: write one behind the header, "
                f'too, and leave the column without a name out: drop = ["Unnamed: {self.columns}"].'
            )
        if self._one_more == self._other == self.rows:
            return (
                "Every line has one value more than the header: does the header lack the name of the first "
                "column, as R writes it? Write without row names, or name it."
            )
        line, count = self._first[0]
        if self._other == 1 and count < self.columns:
            end = " It is the last line: is the file whole?" if line == self.line else ""
            return f"Every line needs as many values as the header has names.{end}"
        return f"Is a value with a {name} in it not in quotes, a name missing, or the file not whole?"

    def _is_other(self, line: str, number: int, count: int) -> bool:
        """Remember a line that has not the right number of values, unless it is blank."""
        if is_blank(line, self.separator):
            return False
        self._other += 1
        one_more = count == self.columns + 1
        self._one_more += one_more
        self._open_end += one_more and line.endswith(self.separator)
        if len(self._first) < SHOWN:
            self._first.append((self.line + number, int(count)))
        return True

    def _with_quotes(self, text: str, last: bool) -> str:
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        reader = csv.reader(
            (line + "\n" for line in lines), delimiter=self.separator, strict=True, quotechar='"'
        )
        done = 0
        try:
            for record in reader:
                if len(record) == self.columns or self._is_other(lines[done], done + 1, len(record)):
                    self.rows += 1
                done = reader.line_num
        except csv.Error as error:
            rest = "\n".join(lines[done:]) + "\n"
            if not last and "unexpected end" in str(error) and len(rest) <= MAX_LINE:
                self.line += done
                return rest
            raise DataError(self._bad_quotes(self.line + done + 1, str(error))) from None
        self.line += len(lines)
        return ""

    def _bad_quotes(self, line: int, error: str) -> str:
        if "expected after" in error:
            return (
                f"{self.path}: line {line}: a quote stands inside of a value. Write it twice, and the "
                f'value in quotes: "5"" pipe"; or leave it out.'
            )
        if "larger than" in error:
            return (
                f"{self.path}: line {line}: a value in quotes goes on for over {csv.field_size_limit():,} "
                "characters. Are the quotes that open there ever closed?"
            )
        return f"{self.path}: line {line}: the quotes that open there are never closed."
