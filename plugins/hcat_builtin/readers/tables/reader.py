"""``table``: a modality from CSV or Parquet, with one-hot encoding of the columns that the recipe names."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hcat_builtin.readers.plain_file import require_plain_file
from hcat_core.errors import DataError
from hcat_core.reading import COUNT_COLUMN, QUALITY_COLUMN, ColumnTable, ModalityTable
from hcat_core.text.spelling import did_you_mean

ID_COLUMNS = ("patient_id", "patient_ids", "patient", "pid", "case_id", "id")
NAMELESS = re.compile(r"Unnamed: \d+")  # the name that pandas gives to a column without one
CHUNK_ROWS = 4096
PACKED = (".gz", ".bz2", ".xz", ".zip", ".zst", ".tar", ".tgz")  # pandas would unpack them, to any size


class TableReader:
    """Reads a modality from a table with one or more rows per patient.

    Numbers and booleans become features unchanged; text becomes features only in columns that ``one_hot``
    names (one feature per category; an empty cell makes all of them not measured). Where all categories of
    a column are numbers, 1 and 1.0 are the same category.

    Args:
        path: a ``.csv`` or ``.parquet`` file.
        patient_id: the column of ids, where it does not have one of the usual names.
        columns: features to read; by default all but ids, ``drop``, ``weight`` and ``quality``.
        one_hot: columns to encode as one feature per category.
        drop: columns to leave out.
        weight: column of row weights.
        quality: column of quality scores in [0, 1]; ``hcat_quality`` by default, if it exists.
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
    ) -> None:
        self.source = str(path)
        self.path = path
        self.patient_id = patient_id
        self.columns = columns
        self.one_hot = one_hot or []
        self.drop = drop or []
        self.weight = weight
        self.quality = quality

    def read(self) -> Iterator[ModalityTable]:
        """Rows in chunks.

        Raises:
            DataError: for a file that cannot be read, lines longer than the header, columns that do not
                exist, or text among numbers.
        """
        header = self._header()
        ids = self._id_column(header)
        for name in (*self.one_hot, *self.drop, *(self.columns or []), self.weight, self.quality):
            if name is not None:
                self._require(name, header)
        quality = self.quality or (QUALITY_COLUMN if QUALITY_COLUMN in header else None)
        has_counts = COUNT_COLUMN in header
        not_features = {ids, *self.drop, self.weight, quality, COUNT_COLUMN}
        chosen = [name for name in (self.columns or header) if name not in not_features]
        if not chosen:
            raise DataError(
                f"{self.source}: no column remains as a feature. Shorten drop or lengthen columns."
            )
        nameless = next((name for name in chosen if NAMELESS.fullmatch(name)), None)
        if nameless is not None and self.columns is None:
            raise DataError(
                f"{self.source}: column {header.index(nameless) + 1} has no name. Name it in the file, or "
                "leave it out if it is empty or only numbers the rows, as pandas writes them: "
                f'drop = ["{nameless}"].'
            )
        categories = self._categories(ids)
        features = tuple(
            feature
            for name in chosen
            for feature in (
                [f"{name}={value}" for value in _distinct(categories[name])]
                if name in categories
                else [name]
            )
        )
        first = 0
        for frame in self._frames(ids, self.one_hot):
            parts = [
                _encoded(frame[name], categories[name])
                if name in categories
                else self._numbers(frame, name, first)[:, None]
                for name in chosen
            ]
            yield ModalityTable(
                ids=frame[ids].to_numpy(dtype=object),
                values=np.concatenate(parts, axis=1).astype(np.float32),
                weights=self._numbers(frame, self.weight, first) if self.weight else None,
                quality=self._numbers(frame, quality, first) if quality else None,
                features=features,
                n_rows=self._numbers(frame, COUNT_COLUMN, first) if has_counts else None,
            )
            first += len(frame)

    def describe(self) -> str:
        """The column of ids and the number of columns.

        Raises:
            DataError: as ``read``.
        """
        header = self._header()
        kind = "Parquet" if self._is_parquet() else "CSV"
        return f"{kind}: ids in {self._id_column(header)}, one of {len(header)} columns"

    def read_columns(self, names: list[str]) -> ColumnTable:
        """Columns by name: numbers where they are numbers, text otherwise.

        Raises:
            DataError: naming the column that the file lacks and those it has.
        """
        header = self._header()
        ids = self._id_column(header)
        for name in names:
            self._require(name, header)
        # In one piece, since a column is numbers or text as a whole.
        frame = pd.concat(list(self._frames(ids, rows=sys.maxsize)), ignore_index=True)
        return ColumnTable(
            frame[ids].to_numpy(dtype=object), {name: frame[name].to_numpy() for name in names}
        )

    def _header(self) -> list[str]:
        require_plain_file(self.path, "a table")
        if self.path.suffix.lower() in PACKED:
            raise DataError(f"{self.source}: is compressed. Unpack it: hcat reads CSV without compression.")
        try:
            if self._is_parquet():
                header = [str(name) for name in self._parquet().schema_arrow.names]
            else:
                header = [str(name) for name in pd.read_csv(self.path, nrows=0).columns]
                self._refuse_long_lines(len(header))
        except (OSError, ValueError, csv.Error) as error:
            raise DataError(f"{self.source}: cannot be read as a table: {error}") from None
        if len(header) < 2:
            raise DataError(f"{self.source}: has {len(header)} column; is it separated by commas?")
        return header

    def _refuse_long_lines(self, columns: int) -> None:
        """Refuse a line with more values than the header has names.

        Depending on where in the file the line is, pandas takes the first values as row names or drops the
        last ones.
        """
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            for line in reader:
                if len(line) > columns:
                    raise DataError(
                        f"{self.source}: line {reader.line_num} has {len(line)} values for {columns} "
                        "columns. Is a value with a comma in it not in quotes, or a name missing?"
                    )

    def _id_column(self, header: list[str]) -> str:
        if self.patient_id is not None:
            self._require(self.patient_id, header)
            return self.patient_id
        ids = next((name for name in ID_COLUMNS if name in header), None)
        if ids is None:
            raise DataError(
                f"{self.source}: no column of patient ids among {', '.join(header[:20])}. "
                f"Looked for {', '.join(ID_COLUMNS)}. Name yours: patient_id = ..."
            )
        return ids

    def _require(self, name: str, header: list[str]) -> None:
        if name not in header:
            raise DataError(
                f'{self.source}: has no column "{name}".{did_you_mean(name, header)} '
                f"Its columns: {', '.join(header[:40])}."
            )

    def _is_parquet(self) -> bool:
        return self.path.suffix.lower() in (".parquet", ".pq")

    def _parquet(self) -> Any:
        try:
            import pyarrow.parquet
        except ImportError:
            raise DataError(
                f'{self.source}: reading Parquet needs pyarrow: pip install "hcat-core[parquet]".'
            ) from None
        return pyarrow.parquet.ParquetFile(self.path)

    def _frames(self, ids: str, text: Sequence[str] = (), rows: int = CHUNK_ROWS) -> Iterator[pd.DataFrame]:
        """The file in chunks of rows; ids are read as text, so that ``007`` stays ``007``.

        Columns named in ``text`` are read as text, too: pandas would infer another type in each chunk.
        """
        if self._is_parquet():
            for batch in self._parquet().iter_batches(batch_size=CHUNK_ROWS):
                frame = batch.to_pandas()
                for name in text:
                    column = batch.column(name).to_pandas(integer_object_nulls=True).astype(object)
                    frame[name] = column.map(str, na_action="ignore")
                yield frame
            return
        types = dict.fromkeys((ids, *text), str)
        try:
            yield from pd.read_csv(self.path, dtype=types, chunksize=rows, low_memory=False)
        except (ValueError, UnicodeDecodeError) as error:
            raise DataError(f"{self.source}: cannot be read as a table: {error}") from None

    def _categories(self, ids: str) -> dict[str, dict[str, str]]:
        """For each one-hot column, the category of each spelling that occurs in the file."""
        seen: dict[str, set[str]] = {name: set() for name in self.one_hot}
        if seen:
            for frame in self._frames(ids, self.one_hot):
                for name, values in seen.items():
                    values.update(frame[name].dropna().unique().tolist())
        return {name: _category_of(values) for name, values in seen.items()}

    def _numbers(self, frame: pd.DataFrame, name: str, first: int) -> np.ndarray:
        column = frame[name]
        try:
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
        except (ValueError, TypeError):
            numbers = pd.to_numeric(column, errors="coerce")
            bad = (numbers.isna() & column.notna()).to_numpy()
            row = int(bad.argmax())
            raise DataError(
                f'{self.source}: column {name}, row {first + row}: "{column.iloc[row]}" is not a '
                f"number. Put {name} into one_hot or drop."
            ) from None


def _category_of(spellings: set[str]) -> dict[str, str]:
    """The category of each spelling: if all are numbers, the shortest spelling of the same number."""
    try:
        numbers = {text: Decimal(text) for text in spellings}
    except InvalidOperation:
        numbers = {}
    if not numbers or not all(number.is_finite() for number in numbers.values()):
        return {text: text for text in spellings}
    shortest: dict[Decimal, str] = {}
    for text in sorted(spellings, key=lambda text: (len(text), text)):
        shortest.setdefault(numbers[text], text)
    return {text: shortest[number] for text, number in numbers.items()}


def _distinct(category_of: Mapping[str, str]) -> list[str]:
    return sorted(set(category_of.values()))


def _encoded(column: pd.Series, category_of: Mapping[str, str]) -> np.ndarray:
    """(R, C) 0 and 1; a row of NaN where the cell is empty."""
    categories = _distinct(category_of)
    codes = pd.Categorical(column.map(category_of), categories=categories).codes
    encoded = np.zeros((len(column), len(categories)))
    filled = codes >= 0
    encoded[np.flatnonzero(filled), codes[filled]] = 1
    encoded[~filled] = np.nan
    return encoded
