"""The header of a text table: its names, and the separator that they and the first lines agree on."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from hcat_builtin.readers.tables.lines import MAX_LINE, holds_nul, is_blank
from hcat_builtin.readers.tables.text_stream import open_text
from hcat_core.errors import DataError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
MAX_COLUMNS = 250_000
SAMPLE_LINES = 50  # that decide on the separator
SAMPLE = 4 << 20  # characters


@dataclass(frozen=True)
class Header:
    """The first line of a text table.

    Attributes:
        names: as they stand in the file.
        separator: between them.
        lines: of the file up to the end of the header.
    """

    names: tuple[str, ...]
    separator: str
    lines: int


def read_header(path: Path) -> Header:
    """Find the separator, and read the names.

    A comma, a semicolon or a tab separates the values if it is the only one of them in the header, or the
    only one by which the first lines all have as many values as the header. In a ``.tsv`` file it is a tab
    in doubt. The first line ``sep=;`` of Excel decides, too. Lines of comments above the header are
    skipped: those that begin with ``##``, several that begin with ``#``, and one that has not as many
    values as the line below it (``#CHROM`` is a name).

    Raises:
        DataError: for a table without a header or with one column, and where two separators are possible.
    """
    lines, comments = _first_lines(path)
    if lines and len(lines[0]) > MAX_LINE:
        raise DataError(
            f"{path}: its first line has over {MAX_LINE:,} characters, the most that hcat reads. Is it a "
            "text table with one line for each row?"
        )
    nul = next((number for number, line in enumerate(lines, 1 + comments) if "\0" in line), None)
    if nul is not None:
        raise DataError(holds_nul(path, nul))
    told = lines[0].strip().removeprefix("sep=") if lines and lines[0].startswith("sep=") else None
    skipped = 0 if told is None else 1
    separators = [told] if told is not None and told in SEPARATORS else list(SEPARATORS)
    found = [_Reading.of(lines[skipped:], separator) for separator in separators]
    possible = [reading for reading in found if len(reading.names) > 1]
    if not possible:
        raise DataError(_one_column(path, found[0].names))
    reading = _certain(path, possible)
    if len(reading.names) > MAX_COLUMNS:
        raise DataError(
            f"{path}: has {len(reading.names):,} columns; hcat reads up to {MAX_COLUMNS:,} of a text "
            "table. Is it turned, one line a feature? If not, store it as HDF5 or Parquet."
        )
    return Header(reading.names, reading.separator, comments + skipped + reading.lines)


@dataclass(frozen=True)
class _Reading:
    """What the first lines are by one separator; ``even``: all as long as the header."""

    separator: str
    names: tuple[str, ...]
    lines: int
    even: bool

    @classmethod
    def of(cls, lines: list[str], separator: str) -> _Reading:
        names: tuple[str, ...] = ()
        end = 0
        others = []
        reader = csv.reader(lines, delimiter=separator)
        try:
            for values in reader:
                if is_blank(values, separator):
                    continue
                if names:
                    others.append(len(values))
                else:
                    names, end = tuple(values), reader.line_num
        except csv.Error:  # a value of over 131,072 characters; the lines are checked later
            pass
        whole = others if len(lines) < SAMPLE_LINES else others[:-1]  # quotes may go on behind the sample
        return cls(separator, names, end, all(count == len(names) for count in whole))


def _certain(path: Path, possible: list[_Reading]) -> _Reading:
    even = [reading for reading in possible if reading.even]
    if len(even) == 1 or len(possible) == 1:
        return (even or possible)[0]
    tabs = next((reading for reading in possible if reading.separator == "\t"), None)
    if tabs is not None and {".tsv", ".tab"} & {suffix.lower() for suffix in path.suffixes}:
        return tabs
    if not even:  # no line can be right by any of them: the check of the lines says which
        return max(possible, key=lambda reading: len(reading.names))
    names = " or ".join(SEPARATORS[reading.separator] for reading in even)
    raise DataError(
        f"{path}: can be separated by {names}: its first lines are even both ways. Put the values that "
        "have them into quotes, or save the table with one of them only."
    )


def _first_lines(path: Path) -> tuple[list[str], int]:
    """The first lines from the header on, and how many lines of comments stand above it."""
    lines: list[str] = []
    comments = 0
    left = SAMPLE
    with open_text(path) as stream:
        while len(lines) < SAMPLE_LINES and left > 0:
            line = stream.readline(MAX_LINE + 1)
            if not line:
                break
            left -= len(line)
            if not lines and line.startswith("##"):
                comments += 1
            else:
                lines.append(line)
    more = _comments(lines)
    return lines[more:], comments + more


def _comments(lines: list[str]) -> int:
    """How many of the first lines are comments, as cBioPortal writes four of them above the header."""
    marked = next((number for number, line in enumerate(lines) if not line.startswith("#")), 0)
    if marked != 1:
        return marked
    separator = max(SEPARATORS, key=lines[1].count)
    several = lines[1].count(separator)
    return 0 if several and lines[0].count(separator) == several else 1


def _one_column(path: Path, names: tuple[str, ...]) -> str:
    if not names:
        return f"{path}: cannot be read as a table: it is empty. A header with names of columns is needed."
    other = next((mark for mark in ("|", "  ", " ") if mark in names[0].strip()), None)
    separated = {"|": "by |", " ": "by blanks", "  ": "by blanks"}.get(other or "", "otherwise")
    return (
        f"{path}: has 1 column; is it separated {separated}? hcat reads values separated by commas, "
        "semicolons or tabs."
    )
