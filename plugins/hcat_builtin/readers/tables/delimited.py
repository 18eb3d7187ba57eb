"""Text tables: separator, decimal mark and encoding are found where they are certain."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hcat_builtin.readers.tables.cells import Cells, chunk_rows, header_names
from hcat_builtin.readers.tables.decimal_marks import MarksSeen, decimal_mark, doubtful_points
from hcat_builtin.readers.tables.header import SEPARATORS, Header, read_header
from hcat_builtin.readers.tables.lines import MAX_LINE, LineCheck, holds_nul, is_blank
from hcat_builtin.readers.tables.text_cells import (
    as_column,
    numbers_of,
    only,
    text_as_it_stands,
    texts_of,
)
from hcat_builtin.readers.tables.text_stream import open_text
from hcat_core.data.missing_values import Missing
from hcat_core.errors import DataError

BLOCK = 1 << 20  # characters
COLUMN_ROWS = 1 << 16  # of a chunk of a few columns


@dataclass(frozen=True)
class DelimitedTable:
    """A text table in which every line has as many values as the header.

    Attributes:
        path: the file.
        header: names, separator, and where the rows begin.
        decimal: the decimal mark.
        rows: how many the file has.
        missing: words that mean "not measured".
        findings: what a user should know.
    """

    path: Path
    header: Header
    decimal: str
    rows: int
    missing: Missing
    findings: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, without surrounding blanks."""
        return header_names(self.header.names)

    @property
    def kind(self) -> str:
        """What ``hcat inspect`` calls the file."""
        if self.header.separator == ",":
            return "CSV"
        marks = ", decimal commas" if self.decimal == "," else ""
        return f"CSV separated by {SEPARATORS[self.header.separator]}{marks}"

    def refuse_as_numbers(self, names: Sequence[str]) -> None:
        """Nothing: the cells of a text table decide."""

    def converted(self, names: Sequence[str]) -> tuple[str, ...]:
        """Nothing: text has no units."""
        return ()

    def chunks(self, ids: str, texts: Sequence[str], numbers: Sequence[str]) -> Iterator[Cells]:
        """The rows of some columns, as ``TableFile`` has it.

        Raises:
            DataError: for a file in which pandas finds other rows than were counted.
        """
        id_place, *text_places = (self.names.index(name) for name in (ids, *texts))
        number_places = self._places(numbers)
        first = 0
        for frame in self._frames({id_place, *text_places}, number_places, chunk_rows(len(numbers))):
            matrix, words, truths = self._numbers(frame, number_places, numbers)
            read = {
                name: texts_of(_objects(frame[place]), self.missing)
                for name, place in zip(texts, text_places, strict=True)
            }
            yield Cells(first, _objects(frame[id_place]), read, matrix, words, truths)
            first += len(frame)
        if first != self.rows:
            raise DataError(
                f"{self.path}: {self.rows} rows were counted, and {first} read. Is the file being written?"
            )

    def columns(
        self, ids: str, names: Sequence[str], as_text: bool = False
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Raw ids (R,) and columns (R,), as ``TableFile`` has it."""
        places = {name: self.names.index(name) for name in (ids, *names)}
        frames = list(self._frames({*places.values()}, [], COLUMN_ROWS))
        cells = {
            name: np.concatenate([np.zeros(0, object), *(_objects(frame[place]) for frame in frames)])
            for name, place in places.items()
        }
        read = {
            name: text_as_it_stands(cells[name], self.missing)
            if as_text
            else as_column(cells[name], self.missing, self.decimal)
            for name in names
        }
        return cells[ids], read

    def line(self, row: int) -> int | None:
        """The line on which a row begins, as ``TableFile`` has it."""
        begins, separator = self.header.lines, self.header.separator
        with open_text(self.path, self.header.lines) as stream:
            reader = csv.reader(stream, delimiter=separator)
            for record in reader:
                row -= not is_blank(record, separator)
                if row < 0:
                    break
                begins = self.header.lines + reader.line_num
        return begins + 1

    def _places(self, names: Sequence[str]) -> list[int]:
        places = {name: place for place, name in enumerate(self.names)}
        return [places[name] for name in names]

    def _frames(self, texts: set[int], numbers: Sequence[int], rows: int) -> Iterator[pd.DataFrame]:
        """Chunks of rows; columns are called by their places, and types are inferred where not of text."""
        if self.rows == 0:
            return
        try:
            with open_text(self.path, self.header.lines) as stream:
                yield from pd.read_csv(
                    stream,
                    sep=self.header.separator,
                    decimal=self.decimal,
                    header=None,
                    names=range(len(self.header.names)),
                    index_col=False,
                    usecols=sorted({*texts, *numbers}),
                    dtype=dict.fromkeys(texts, object),
                    keep_default_na=False,
                    na_values=[""],
                    chunksize=rows,
                    low_memory=False,
                )
        except (ValueError, OSError) as error:
            raise DataError(f"{self.path}: cannot be read as a table: {error}") from None

    def _numbers(
        self, frame: pd.DataFrame, places: Sequence[int], names: Sequence[str]
    ) -> tuple[np.ndarray, dict[str, np.ndarray], frozenset[str]]:
        """(R, k) numbers, the words of the columns that have some, and the columns of True and False."""
        matrix = np.empty((len(frame), len(places)))
        kinds: dict[Any, str] = dict(
            zip(frame.columns.tolist(), (dtype.kind for dtype in frame.dtypes), strict=True)
        )
        plain = [column for column, place in enumerate(places) if kinds[place] in "iuf"]
        if plain:
            matrix[:, plain] = frame[[places[column] for column in plain]].to_numpy(np.float64)
            self.missing.blank(matrix)
        words: dict[str, np.ndarray] = {}
        truths: set[str] = set()
        for column in sorted({*range(len(places))} - {*plain}):
            cells = _objects(frame[places[column]])
            found = numbers_of(cells, self.missing, self.decimal)
            matrix[:, column] = found.values
            if found.truths:
                truths.add(names[column])
            if found.words.any():
                words[names[column]] = only(cells, found.words)
        return matrix, words, frozenset(truths)


def open_delimited(path: Path, missing: Missing, decimal: str | None) -> DelimitedTable:
    """Find out how a text table is written, and check all of its lines.

    Args:
        path: the file, which may be packed by gzip.
        missing: words that mean "not measured".
        decimal: the decimal mark, or None to find it.

    Raises:
        DataError: for lines of another length than the header, a separator or a decimal mark that is not
            certain, an encoding other than UTF-8 or marked UTF-16, NUL bytes, and a file that breaks off.
    """
    header = read_header(path)
    separator = header.separator
    check = LineCheck(path, separator, len(header.names), header.lines)
    marks = None if separator == "," or decimal is not None else MarksSeen()
    end = _check_lines(path, header, check, marks)
    found = decimal or ("." if marks is None else decimal_mark(marks, path))
    missing = missing.with_decimal(found)
    table = DelimitedTable(path, header, found, check.rows, missing)
    points = doubtful_points(marks, path) if marks is not None and separator == ";" else None
    cut = _cut_off(table) if end not in ("", "\n", '"') else None
    findings = tuple(finding for finding in (points, cut) if finding is not None)
    return DelimitedTable(path, header, found, check.rows, missing, findings)


def _check_lines(path: Path, header: Header, check: LineCheck, marks: MarksSeen | None) -> str:
    """Take every line into account; the last character of the file."""
    end = rest = ""
    with open_text(path, header.lines) as stream:
        while block := stream.read(BLOCK):
            end = block[-1]
            text = rest + block
            if "\0" in block:
                line = check.line + 1 + text.count("\n", 0, text.index("\0"))
                raise DataError(holds_nul(path, line))
            whole, newline, tail = text.rpartition("\n")
            if len(tail) > MAX_LINE:
                raise DataError(
                    f"{path}: has a line of over {MAX_LINE:,} characters, the most that hcat reads. "
                    "Is it a text table?"
                )
            if newline:
                if marks is not None:
                    marks.look(whole)
                tail = check.take(whole + newline) + tail
            rest = tail
    if rest:
        if marks is not None:
            marks.look(rest)
        check.take(rest, last=True)
    check.finish()
    return end


def _cut_off(table: DelimitedTable) -> str | None:
    """A finding where the last line has no end, and its last value may have lost its own.

    Many editors write no line end behind the last line. A value that is as long as the longest of its
    column is taken to be whole.
    """
    if table.rows < 2:
        return None
    last = len(table.names) - 1
    lengths = np.concatenate(
        [frame[last].str.len().fillna(0).to_numpy() for frame in table._frames({last}, [], COLUMN_ROWS)]
    )
    if lengths[-1] >= lengths.max():
        return None
    return (
        f"{table.path.name}: the last line has no line end, and its value of {table.names[last]} is "
        "shorter than others: is the file whole? If it is, write a line end behind it."
    )


def _objects(column: pd.Series) -> np.ndarray:
    return column.to_numpy(dtype=object)
