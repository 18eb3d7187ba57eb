"""``table``: a modality from CSV or Parquet, with one-hot encoding of the columns that the recipe names."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from hcat_builtin.readers.tables.categories import Categories, category_findings
from hcat_builtin.readers.tables.cells import Cells, TableFile
from hcat_builtin.readers.tables.mixed_categories import MixedCategories
from hcat_builtin.readers.tables.open_table import open_table
from hcat_builtin.readers.tables.roles import (
    Choices,
    Roles,
    categories_of_run,
    id_column,
    refuse_repeated,
    require,
    roles_of,
)
from hcat_builtin.readers.tables.survey import survey_table
from hcat_builtin.readers.tables.words import WordSearch
from hcat_core.data.missing_values import Missing
from hcat_core.data.sentinel_codes import SentinelSearch
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, FileSurvey, ModalityTable
from hcat_core.text.file_rows import named_row


class TableReader:
    """Reads a modality from a table with one or more rows per patient.

    Numbers, True and False become features unchanged; text becomes features only in columns that
    ``one_hot`` names (one feature per category; an empty cell makes all of them not measured). Where all
    categories of a column are numbers, 1 and 1.0 are the same category. Only an empty cell, or one of
    blanks, is "not measured": words such as NA and None are values.

    Args:
        path: a text table (values separated by commas, semicolons or tabs; packed by gzip or not) or a
            ``.parquet`` file.
        patient_id: the column of ids, where it does not have one of the usual names.
        columns: features to read; by default all but ids, ``drop``, ``weight`` and ``quality``. In a name,
            ``*`` stands for any text: ``["age", "*_rnaseq"]``.
        one_hot: columns to encode as one feature per category.
        drop: columns to leave out, with ``*`` likewise.
        weight: column of row weights.
        quality: column of quality scores in [0, 1]; ``hcat_quality`` by default, if it exists.
        missing: words that mean "not measured", such as ``["NA", "-999"]``; numbers match by their value.
        decimal: the decimal mark of numbers in text; by default a point, or a comma where all numbers of a
            text table separated by semicolons or tabs say so.
    """

    def __init__(
        self,
        *,
        path: Path,
        patient_id: str | None = None,
        columns: list[str] | None = None,
        one_hot: list[str] | None = None,
        drop: list[str] | None = None,
        weight: str | None = None,
        quality: str | None = None,
        missing: list[str] | None = None,
        decimal: Literal[".", ","] | None = None,
    ) -> None:
        self.source = str(path)
        self.path = path
        self.missing = Missing.of(missing or [])
        self.decimal = decimal
        self.choices = Choices(
            patient_id=_stripped(patient_id),
            columns=None if columns is None else tuple(name.strip() for name in columns),
            one_hot=tuple(name.strip() for name in one_hot or []),
            drop=tuple(name.strip() for name in drop or []),
            weight=_stripped(weight),
            quality=_stripped(quality),
        )
        self._trained: tuple[str, ...] | None = None
        self._table: TableFile | None = None

    def over(self, table: TableFile) -> TableReader:
        """The same reader of a table that is in memory, in place of the file."""
        reader = copy.copy(self)
        reader._table = table
        return reader

    def with_features(self, features: tuple[str, ...]) -> TableReader:
        """The same reader, that makes the features of a trained run.

        Args:
            features: of the modality in training. Columns that the file lacks are left out; a category or a
                column that is not among the features is a finding, the category not measured.
        """
        reader = copy.copy(self)
        reader._trained = features
        return reader

    def read(self) -> Iterator[ModalityTable]:
        """Rows in chunks.

        Raises:
            DataError: for a file that cannot be read, lines of another length than the header, columns that
                do not exist, dates, or text among numbers.
        """
        table = self._open()
        roles = roles_of(table.names, self.choices, self._trained, self.source)
        numbers = [name for name in roles.features if name not in roles.one_hot]
        extra = [name for name in (roles.weight, roles.quality, roles.n_rows) if name is not None]
        table.refuse_as_numbers([*numbers, *extra])
        findings = [*table.findings, *table.converted([*numbers, *extra])]
        categories = self._categories(table, roles)
        features = tuple(
            feature
            for name in roles.features
            for feature in (categories[name].features if name in categories else (name,))
        )
        words, codes = WordSearch([*numbers, *extra]), SentinelSearch(len(numbers))
        mixed = MixedCategories()
        for cells in table.chunks(roles.ids, roles.one_hot, [*numbers, *extra]):
            self._refuse_empty_ids(cells, table)
            low = np.fmin.reduce(cells.numbers, axis=0, initial=np.inf)
            high = np.fmax.reduce(cells.numbers, axis=0, initial=-np.inf)
            if words.look(cells, low, high):
                codes.look(cells.numbers[:, : len(numbers)], low[: len(numbers)], high[: len(numbers)])
                mixed.look(cells)
                yield _modality_table(cells, roles, features, categories)
        words.refuse(self.source, table.line)
        code = codes.finding(numbers, words.measured, self.path.name)
        findings += [*category_findings(categories.values(), self.path.name), *([code] if code else [])]
        findings += mixed.finding(self.path.name)
        if roles.left_out:
            findings.append(_left_out(roles.left_out, self.path.name))
        if findings:
            none = np.zeros(0)
            yield ModalityTable(
                ids=np.zeros(0, dtype=object),
                values=np.zeros((0, len(features)), np.float32),
                weights=none if roles.weight else None,
                quality=none if roles.quality else None,
                features=features,
                n_rows=none if roles.n_rows else None,
                findings=tuple(findings),
            )

    def line(self, row: int) -> int | None:
        """The line on which a row begins, the first being 1; None in a file without lines."""
        return self._open().line(row)

    def describe(self) -> str:
        """The format, the column of ids and the number of columns.

        Raises:
            DataError: as ``read``.
        """
        table = self._open()
        ids = id_column(table.names, self.choices.patient_id, self.source)
        return f"{table.kind}: ids in {ids}, one of {len(table.names)} columns"

    def survey(self) -> FileSurvey:
        """What every column of the file holds.

        Raises:
            DataError: as ``read_columns``.
        """
        return survey_table(self._open(), self.choices.patient_id)

    def read_columns(self, names: list[str]) -> ColumnTable:
        """Columns by name: numbers where every cell is one, text otherwise; dates are text.

        Durations are timedelta64, which has its unit.

        Raises:
            DataError: naming the columns that the file lacks and those it has.
        """
        return self._columns(names, as_text=False)

    def read_text_columns(self, names: list[str]) -> ColumnTable:
        """Columns by name, all as text as it stands in the file: where 01 and 1 are two names.

        Raises:
            DataError: as ``read_columns``.
        """
        return self._columns(names, as_text=True)

    def _columns(self, names: list[str], *, as_text: bool) -> ColumnTable:
        table = self._open()
        ids = id_column(table.names, self.choices.patient_id, self.source)
        require(names, table.names, self.source)
        refuse_repeated(table.names, names, self.source)
        raw_ids, columns = table.columns(ids, names, as_text)
        return ColumnTable(raw_ids, columns, table.findings)

    def _open(self) -> TableFile:
        return self._table or open_table(self.path, self.missing, self.decimal)

    def _categories(self, table: TableFile, roles: Roles) -> dict[str, Categories]:
        """Those of each one-hot column, from the whole file or from the trained run."""
        counts: dict[str, pd.Series] = {name: pd.Series(dtype=np.int64) for name in roles.one_hot}
        if counts:
            for cells in table.chunks(roles.ids, roles.one_hot, []):
                for name, texts in cells.texts.items():
                    found = pd.Series(texts, dtype=object).value_counts()
                    counts[name] = counts[name].add(found, fill_value=0)
        by_name = {name: {str(k): int(v) for k, v in found.items()} for name, found in counts.items()}
        if self._trained is None:
            return {name: Categories.of_file(name, found) for name, found in by_name.items()}
        return {
            name: Categories.of_run(name, categories_of_run(name, self._trained), found)
            for name, found in by_name.items()
        }

    def _refuse_empty_ids(self, cells: Cells, table: TableFile) -> None:
        empty = pd.isna(cells.ids)
        if empty.any():
            place = named_row(cells.first + int(empty.argmax()), table.line)
            raise DataError(
                f"{self.source}: {place} has no patient id. Give every row one, or delete the row."
            )


def _modality_table(
    cells: Cells, roles: Roles, features: tuple[str, ...], categories: dict[str, Categories]
) -> ModalityTable:
    count = sum(name not in categories for name in roles.features)
    extra = iter(cells.numbers[:, count:].T)
    return ModalityTable(
        ids=cells.ids,
        values=_values(cells, roles.features, categories, count),
        weights=next(extra) if roles.weight else None,
        quality=next(extra) if roles.quality else None,
        features=features,
        n_rows=next(extra) if roles.n_rows else None,
    )


def _values(
    cells: Cells, columns: Sequence[str], categories: dict[str, Categories], count: int
) -> np.ndarray:
    """(R, d) float32: numbers and categories in the order of their columns."""
    if not categories:
        return cells.numbers[:, :count].astype(np.float32)
    values = np.empty(
        (len(cells.ids), count + sum(len(one.names) for one in categories.values())), np.float32
    )
    numbers: list[int] = []
    place = 0
    for name in columns:
        if name in categories:
            encoded = categories[name].encoded(cells.texts[name])
            values[:, place : place + encoded.shape[1]] = encoded
            place += encoded.shape[1]
        else:
            numbers.append(place)
            place += 1
    values[:, numbers] = cells.numbers[:, :count]
    return values


def _left_out(names: Sequence[str], file: str) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    listed = ", ".join(names[:20]) + more
    return f"{file}: columns that are no features of the trained run are left out: {listed}."


def _stripped(name: str | None) -> str | None:
    return None if name is None else name.strip()
