"""Parquet tables: every column is a column of the file, whatever pandas calls it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hcat_builtin.readers.tables.arrow_columns import (
    Form,
    duration_days,
    durations,
    float_cells,
    form_of,
    id_cells,
    int_cells,
    is_plain_number,
    plain_matrix,
    text_cells,
)
from hcat_builtin.readers.tables.cells import Cells, chunk_rows, header_names
from hcat_builtin.readers.tables.text_cells import (
    as_column,
    numbers_of,
    only,
    text_as_it_stands,
    texts_of,
)
from hcat_core.data.missing_values import Missing
from hcat_core.errors import DataError


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file; the index of a pandas frame is a column like all others.

    Attributes:
        path: the file.
        names: of the columns, without surrounding blanks.
        forms: what the cells of each column are.
        missing: words that mean "not measured".
        decimal: the decimal mark of numbers in columns of text.
    """

    path: Path
    names: tuple[str, ...]
    forms: tuple[Form, ...]
    missing: Missing
    decimal: str = "."

    kind = "Parquet"
    findings: tuple[str, ...] = ()

    def refuse_as_numbers(self, names: Sequence[str]) -> None:
        """Refuse dates, and what is neither a number nor text.

        Raises:
            DataError: naming all columns of one kind.
        """
        dates = [name for name, form in self._forms(names).items() if form.kind == "date"]
        if dates:
            raise DataError(
                f"{self.path}: {_columns(dates)} dates, which are no numbers. Compute an age or a duration "
                f"in days, or leave {'it' if len(dates) == 1 else 'them'} out: {_drop(dates)}."
            )
        self._refuse_others(names)

    def converted(self, names: Sequence[str]) -> tuple[str, ...]:
        """A finding that names the durations, which are read in days."""
        found = [name for name, form in self._forms(names).items() if form.kind == "duration"]
        return (f"{self.path.name}: {_columns(found)} durations: read in days.",) if found else ()

    def chunks(self, ids: str, texts: Sequence[str], numbers: Sequence[str]) -> Iterator[Cells]:
        """The rows of some columns, as ``TableFile`` has it."""
        self._refuse_others((ids, *texts))
        first = 0
        for batch in self._batches((ids, *texts, *numbers), chunk_rows(len(numbers))):
            cells = Cells(
                first,
                id_cells(batch[ids], str(self.path), ids),
                {name: texts_of(text_cells(batch[name]), self.missing) for name in texts},
                *self._numbers(batch, numbers),
            )
            yield cells
            first += len(cells.ids)

    def columns(
        self, ids: str, names: Sequence[str], as_text: bool = False
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Raw ids (R,) and columns (R,), as ``TableFile`` has it; durations as such, dates as ISO text."""
        self._refuse_others((ids, *names))
        parts: dict[str, list[Any]] = {name: [] for name in (ids, *names)}
        for batch in self._batches((ids, *names), 1 << 16):
            for name, column in batch.items():
                parts[name].append(column)
        with self._faults():
            import pyarrow

            types = dict(zip(self.names, self._file().schema_arrow.types, strict=True))
            whole = {
                name: pyarrow.chunked_array(chunks, type=types[name]).combine_chunks()
                for name, chunks in parts.items()
            }
            read = {name: self._column(whole[name], as_text) for name in names}
            return id_cells(whole[ids], str(self.path), ids), read

    def line(self, row: int) -> int | None:
        """None, as ``TableFile`` has it."""
        return None

    def _column(self, column: Any, as_text: bool) -> np.ndarray:
        kind = form_of(column.type).kind
        if as_text or kind in ("text", "date"):
            cells = text_cells(column)
            if as_text:
                return text_as_it_stands(cells, self.missing)
            return as_column(cells, self.missing, self.decimal)
        if kind == "duration":  # not numbers: the unit that a recipe gives for numbers is not theirs
            return durations(column)
        numbers = int_cells(column)
        if numbers is None:  # whole numbers with gaps beyond what a float can tell apart
            return text_as_it_stands(text_cells(column), self.missing)
        if self.missing.among(numbers).any():
            numbers = numbers.astype(np.float64)
            self.missing.blank(numbers)
        return numbers

    def _numbers(
        self, batch: dict[str, Any], names: Sequence[str]
    ) -> tuple[np.ndarray, dict[str, np.ndarray], frozenset[str]]:
        rows = len(next(iter(batch.values())))
        matrix = np.empty((rows, len(names)))
        words: dict[str, np.ndarray] = {}
        truths: set[str] = set()
        plain = [place for place, name in enumerate(names) if is_plain_number(batch[name].type)]
        if plain:
            matrix[:, plain] = plain_matrix([batch[names[place]] for place in plain])
        for place in sorted({*range(len(names))} - {*plain}):
            name = names[place]
            column = batch[name]
            kind = form_of(column.type).kind
            if kind == "text":
                cells = text_cells(column)
                found = numbers_of(cells, self.missing, self.decimal)
                matrix[:, place] = found.values
                if found.words.any():
                    words[name] = only(cells, found.words)
                if found.truths:
                    truths.add(name)
            elif kind == "duration":
                matrix[:, place] = duration_days(column)
            else:
                matrix[:, place] = float_cells(column)
                if kind == "truth":
                    truths.add(name)
        self.missing.blank(matrix)
        return matrix, words, frozenset(truths)

    def _forms(self, names: Sequence[str]) -> dict[str, Form]:
        by_name = dict(zip(self.names, self.forms, strict=True))
        return {name: by_name[name] for name in names}

    def _refuse_others(self, names: Sequence[str]) -> None:
        others = {name: form for name, form in self._forms(names).items() if form.kind == "other"}
        if others:
            kinds = ", ".join(f"{name} ({form.type})" for name, form in others.items())
            raise DataError(
                f"{self.path}: {_columns(list(others))} neither numbers nor text: {kinds}. Write one "
                f"column for each value, or leave them out: {_drop(list(others))}."
            )

    def _batches(self, names: Sequence[str], rows: int) -> Iterator[dict[str, Any]]:
        """Chunks of some columns, by name."""
        by_name = {name: place for place, name in enumerate(self.names)}
        places = {name: by_name[name] for name in names}
        with self._faults():
            file = self._file()
            stored = file.schema_arrow.names
            wanted = sorted({stored[place] for place in places.values()})
            for batch in file.iter_batches(batch_size=rows, columns=wanted, use_pandas_metadata=False):
                yield {name: batch.column(stored[place]) for name, place in places.items()}

    def _file(self) -> Any:
        return _opened(self.path)

    def _faults(self) -> Any:
        return named_faults(self.path)


def open_parquet(path: Path, missing: Missing, decimal: str | None = None) -> ParquetTable:
    """Open a Parquet file for its columns.

    Args:
        path: the file.
        missing: words that mean "not measured".
        decimal: the decimal mark of numbers in columns of text; a point if None.

    Raises:
        DataError: for a file that is not Parquet, or damaged, and without pyarrow.
    """
    with named_faults(path):
        schema = _opened(path).schema_arrow
        names = header_names([str(name) for name in schema.names])
        forms = tuple(form_of(field.type, field.metadata) for field in schema)
    if len(names) < 2:
        raise DataError(f"{path}: has {len(names)} column; ids and at least one other are needed.")
    mark = decimal or "."
    return ParquetTable(path, names, forms, missing.with_decimal(mark), mark)


@contextmanager
def named_faults(path: Path) -> Iterator[None]:
    """Every fault of pyarrow as an error that names the file."""
    try:
        import pyarrow
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise DataError(
            f'{path}: reading Parquet needs pyarrow: pip install "hcat-core[parquet]".'
        ) from None
    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise DataError(
            f"{path}: cannot be read as Parquet: {str(error)[:300]} Is the file whole? Copy "
            "or write it again."
        ) from None


def _opened(path: Path) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)


def _columns(names: Sequence[str]) -> str:
    return f"column{'s' * (len(names) > 1)} {', '.join(names)} hold{'s' * (len(names) == 1)}"


def _drop(names: Sequence[str]) -> str:
    return f"drop = [{', '.join(chr(34) + name + chr(34) for name in names)}]"
