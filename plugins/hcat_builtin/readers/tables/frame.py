"""A pandas DataFrame as a table: its columns as numbers, text and ids, by their types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from hcat_builtin.readers.tables.cells import Cells, chunk_rows
from hcat_builtin.readers.tables.text_cells import (
    as_column,
    numbers_of,
    only,
    text_as_it_stands,
    texts_of,
)
from hcat_core.data.missing_values import Missing
from hcat_core.errors import DataError

FrameKind = Literal["number", "truth", "text", "mixed", "date", "duration", "other"]
EXACT = 2**53  # from here on a float does not hold every whole number
_INFERRED: dict[str, FrameKind] = {
    "string": "text",
    "bytes": "text",
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "empty": "number",
    "boolean": "truth",
    "datetime": "date",
    "datetime64": "date",
    "date": "date",
    "time": "date",
    "period": "date",
    "timedelta": "duration",
    "timedelta64": "duration",
}


@dataclass(frozen=True, eq=False)
class FrameTable:
    """A DataFrame of R rows; where its index holds the ids, these are its first column.

    Attributes:
        path: what messages call it.
        frame: with unique places and any names.
        names: of its columns, as text without surrounding blanks.
        kinds: what the cells of each column are.
        missing: words that mean "not measured".
    """

    path: Path
    frame: pd.DataFrame
    names: tuple[str, ...]
    kinds: tuple[FrameKind, ...]
    missing: Missing

    kind = "DataFrame"
    findings: tuple[str, ...] = ()

    def refuse_as_numbers(self, names: Sequence[str]) -> None:
        """Refuse dates, and what is neither a number nor text.

        Raises:
            DataError: naming all columns of one kind.
        """
        dates = self._of_kind(names, "date")
        if dates:
            raise DataError(
                f"{self.path}: {_columns(dates)} dates, which are no numbers. Compute an age or a duration "
                f"in days, or leave {'it' if len(dates) == 1 else 'them'} out: {_list('drop', dates)}."
            )
        self._refuse_others(names)

    def converted(self, names: Sequence[str]) -> tuple[str, ...]:
        """Findings that name the durations, which are read in days, and text that is read as numbers."""
        durations, texts = self._of_kind(names, "duration"), self._of_kind(names, "text", "mixed")
        findings = [f"{self.path}: {_columns(durations)} durations: read in days."] if durations else []
        if texts:
            findings.append(
                f"{self.path}: {_columns(texts)} text: read as numbers. If these are categories: "
                f"{_list('one_hot', texts)}."
            )
        return tuple(findings)

    def chunks(self, ids: str, texts: Sequence[str], numbers: Sequence[str]) -> Iterator[Cells]:
        """The rows of some columns, as ``TableFile`` has it."""
        self._refuse_others((ids, *texts))
        step = chunk_rows(len(numbers))
        for first in range(0, len(self.frame), step):
            part = self.frame.iloc[first : first + step]
            yield Cells(
                first,
                _id_cells(part.iloc[:, self._place(ids)]),
                {name: texts_of(self.text_cells(name, part), self.missing) for name in texts},
                *self._numbers(part, numbers),
            )

    def columns(
        self, ids: str, names: Sequence[str], as_text: bool = False
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Raw ids (R,) and columns (R,), as ``TableFile`` has it; durations as such, dates as ISO text."""
        self._refuse_others((ids, *names))
        raw = _id_cells(self.frame.iloc[:, self._place(ids)])
        return raw, {name: self._column(name, as_text) for name in names}

    def line(self, row: int) -> int | None:
        """None, as ``TableFile`` has it."""
        return None

    def kind_of(self, name: str) -> FrameKind:
        """What the cells of a column are."""
        return self.kinds[self._place(name)]

    def is_categorical(self, name: str) -> bool:
        """Whether a column has the type ``category`` of pandas."""
        return isinstance(self.frame.iloc[:, self._place(name)].dtype, pd.CategoricalDtype)

    def text_cells(self, name: str, part: pd.DataFrame | None = None) -> np.ndarray:
        """(R,) text of a column, None where empty; dates in ISO form, durations in days."""
        column = (self.frame if part is None else part).iloc[:, self._place(name)]
        kind = self.kind_of(name)
        if kind == "duration":
            column = _days(column)
        if kind == "mixed":  # 1 and True would be one value to pandas
            cells = column.astype(object).where(column.notna(), None).tolist()
            return np.array([*(None if cell is None else _text(cell) for cell in cells), None], object)[:-1]
        codes, values = pd.factorize(column)
        texts = np.array([*(_text(value) for value in values), None], dtype=object)
        return np.asarray(texts[codes], dtype=object)

    def _column(self, name: str, as_text: bool) -> np.ndarray:
        kind, column = self.kind_of(name), self.frame.iloc[:, self._place(name)]
        if as_text:
            return text_as_it_stands(self.text_cells(name), self.missing)
        if kind in ("text", "mixed", "date"):
            return as_column(self.text_cells(name), self.missing)
        if kind == "duration":  # not numbers: the unit that is given for numbers is not theirs
            return pd.to_timedelta(_plain(column)).to_numpy()
        numbers = _float_cells(column)
        whole = column.notna().all() and pd.api.types.is_integer_dtype(column.dtype)
        if not whole and (np.abs(numbers) >= EXACT).any() and not pd.api.types.is_float_dtype(column.dtype):
            return text_as_it_stands(self.text_cells(name), self.missing)
        if whole and not np.isin(numbers, self.missing.numbers).any():
            return np.asarray(column.to_numpy(dtype=np.int64 if numbers.min(initial=0) < 0 else np.uint64))
        self.missing.blank(numbers)
        return numbers

    def _numbers(
        self, part: pd.DataFrame, names: Sequence[str]
    ) -> tuple[np.ndarray, dict[str, np.ndarray], frozenset[str]]:
        matrix = np.empty((len(part), len(names)))
        places = [self._place(name) for name in names]
        plain = [number for number, place in enumerate(places) if place in self.plain_places]
        if plain:
            matrix[:, plain] = part.iloc[:, [places[n] for n in plain]].to_numpy(np.float64)
        words: dict[str, np.ndarray] = {}
        truths: set[str] = set()
        for number in sorted({*range(len(names))} - {*plain}):
            name = names[number]
            kind, column = self.kind_of(name), part.iloc[:, places[number]]
            if kind in ("text", "mixed"):
                cells = self.text_cells(name, part)
                found = numbers_of(cells, self.missing)
                matrix[:, number] = found.values
                if found.words.any():
                    words[name] = only(cells, found.words)
                if found.truths:
                    truths.add(name)
            else:
                matrix[:, number] = _days(column) if kind == "duration" else _float_cells(column)
                if kind == "truth":
                    truths.add(name)
        self.missing.blank(matrix)
        return matrix, words, frozenset(truths)

    def _of_kind(self, names: Sequence[str], *kinds: FrameKind) -> list[str]:
        return [name for name in names if self.kind_of(name) in kinds]

    def _refuse_others(self, names: Sequence[str]) -> None:
        others = self._of_kind(names, "other")
        if others:
            raise DataError(
                f"{self.path}: {_columns(others)} neither numbers nor text. Write one column for each "
                f"value, or leave them out: {_list('drop', others)}."
            )

    def _place(self, name: str) -> int:
        return self._places[name]

    @cached_property
    def plain_places(self) -> frozenset[int]:
        """The columns of numpy's own numbers, which are read all at once."""
        dtypes = enumerate(self.frame.dtypes.tolist())
        return frozenset(n for n, dtype in dtypes if isinstance(dtype, np.dtype) and dtype.kind in "iuf")

    @cached_property
    def _places(self) -> dict[str, int]:
        """The first column of each name; a name of several is refused before it is read."""
        return {name: place for place, name in reversed(list(enumerate(self.names)))}


def frame_kinds(frame: pd.DataFrame) -> tuple[FrameKind, ...]:
    """What the cells of each column are, by its type; columns of objects by their values."""
    return tuple(
        "number"
        if isinstance(dtype, np.dtype) and dtype.kind in "iuf"
        else _kind(frame.iloc[:, place], dtype)
        for place, dtype in enumerate(frame.dtypes.tolist())
    )


def _kind(column: pd.Series[Any], dtype: Any) -> FrameKind:
    if isinstance(dtype, pd.CategoricalDtype):
        categories = dtype.categories.to_series()
        return _kind(categories, categories.dtype)
    if pd.api.types.is_bool_dtype(dtype):
        return "truth"
    if pd.api.types.is_complex_dtype(dtype):
        return "other"
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    if pd.api.types.is_timedelta64_dtype(dtype):
        return "duration"
    if pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return "date"
    if isinstance(dtype, pd.StringDtype):
        return "text"
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred in _INFERRED:
        return _INFERRED[inferred]
    types = set(map(type, column.dropna().tolist()))
    return "mixed" if all(issubclass(one, str | int | float | np.generic) for one in types) else "other"


def _float_cells(column: pd.Series[Any]) -> np.ndarray:
    """(R,) float64 of numbers or truth values; NaN where empty."""
    column = _plain(column)
    if column.dtype == object:
        column = column.where(column.notna(), np.nan)
    return np.array(column.to_numpy(dtype=np.float64, na_value=np.nan))


def _days(column: pd.Series[Any]) -> pd.Series[Any]:
    """(R,) durations in days; NaN where empty."""
    return pd.to_timedelta(_plain(column)).dt.total_seconds() / 86_400


def _id_cells(column: pd.Series[Any]) -> np.ndarray:
    """(R,) raw patient ids as they are, None where empty; floats in their type, which may be too short."""
    column = _plain(column)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        return np.asarray(column.to_numpy())
    cells = column.astype(object)
    return np.asarray(cells.where(column.notna(), None).to_numpy(dtype=object))


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """The values of a categorical or sparse column."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(column.dtype.categories.dtype if column.notna().all() else object)
    if isinstance(column.dtype, pd.SparseDtype):
        return pd.Series(np.asarray(column), column.index)
    return column


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _columns(names: Sequence[str]) -> str:
    return f"column{'s' * (len(names) > 1)} {', '.join(names[:20])} hold{'s' * (len(names) == 1)}"


def _list(key: str, names: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in names[:20])
    return f"{key} = [{listed}{', ...' if len(names) > 20 else ''}]"
