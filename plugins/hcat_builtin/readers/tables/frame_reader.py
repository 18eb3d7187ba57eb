"""``frame``: patients that are given in Python, as a pandas DataFrame, read as a table is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hcat_builtin.readers.tables.cells import header_names
from hcat_builtin.readers.tables.frame import FrameTable, frame_kinds
from hcat_builtin.readers.tables.reader import TableReader
from hcat_builtin.readers.tables.roles import ID_COLUMNS
from hcat_builtin.readers.tables.text_cells import numbers_of
from hcat_core.data.missing_values import Missing
from hcat_core.errors import DataError
from hcat_core.reading import QUALITY_COLUMN

MANY = 20  # different texts; a column of more, most of which occur once, is no column of categories


class FrameReader:
    """Makes readers of DataFrames; a recipe, which names files, cannot use it.

    Numbers, True and False become features, and durations are read in days. Text, and columns of the type
    ``category``, are encoded as one feature for each category. A column whose text is numbers is read as
    numbers, as in a file. Ids are the index where it has a name or holds text, otherwise the column of a
    usual name (``patient_id``, ...).
    """

    def __init__(self, *, path: Path | None = None) -> None:
        raise ValueError(
            "reads DataFrames that are given in Python (hcat_core.Cohort.from_frames), and a recipe names "
            'files: write the patients as CSV or Parquet, and use = "table"'
        )

    @classmethod
    def keys(cls, frame: pd.DataFrame, source: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The keys of the reader ``table`` that read a frame: those given, and what its columns decide.

        Args:
            frame: R rows, one or more per patient.
            source: what messages call it.
            given: keys of the table reader. Without ``one_hot``, columns of text and categories get it.

        Raises:
            DataError: for a frame without ids, and for a column of texts that are no categories.
        """
        keys = {key: value for key, value in given.items() if value}
        table = _table(frame, source, keys)
        ids = table.names[0]
        if ids not in ID_COLUMNS:
            keys["patient_id"] = ids
        if "one_hot" not in given:
            keys |= _categories(table, source, keys)
        return keys

    @classmethod
    def of(cls, frame: pd.DataFrame, source: str, keys: Mapping[str, Any]) -> TableReader:
        """The reader of a frame.

        Args:
            frame: R rows, one or more per patient.
            source: what messages call it.
            keys: of the reader ``table``, without ``path``; ``keys`` completes them.

        Raises:
            DataError: for a frame without ids.
        """
        table = _table(frame, source, keys)
        others = {key: value for key, value in keys.items() if key not in ("patient_id", "decimal")}
        return TableReader(path=Path(source), patient_id=table.names[0], **others).over(table)


def _table(frame: pd.DataFrame, source: str, keys: Mapping[str, Any]) -> FrameTable:
    """The frame with its ids as the first column."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{source}: a pandas DataFrame is needed, and {type(frame).__name__} was given.")
    for axis, levels in (("columns", frame.columns.nlevels), ("rows", frame.index.nlevels)):
        if levels > 1:
            way = "reset_index()" if axis == "rows" else "df.columns = [...]"
            raise DataError(
                f"{source}: its {axis} have names of {levels} levels; one is needed. Flatten them: {way}."
            )
    names = header_names([str(name) for name in frame.columns])
    ids, from_index = _ids(frame, names, keys.get("patient_id"), source)
    if from_index:
        index = frame.index.to_series(index=frame.index, name=ids)
        frame, names = pd.concat([index, frame], axis=1), (ids, *names)
    else:
        first = names.index(ids)
        order = [first, *(place for place in range(len(names)) if place != first)]
        frame, names = frame.iloc[:, order], tuple(names[place] for place in order)
    if len(names) < 2:
        raise DataError(f"{source}: has no column beside its ids.")
    missing = Missing.of(keys.get("missing") or [])
    return FrameTable(Path(source), frame, names, frame_kinds(frame), missing)


def _ids(frame: pd.DataFrame, names: Sequence[str], given: str | None, source: str) -> tuple[str, bool]:
    """The name of the ids, and whether they are the index."""
    index = "" if frame.index.name is None else str(frame.index.name).strip()
    if given is not None:
        given = given.strip()
        if given in names or given != index:
            if given not in names and not (given in ID_COLUMNS and _holds_text(frame.index) and not index):
                raise DataError(
                    f'{source}: neither its index nor a column is called "{given}". Its columns: '
                    f"{', '.join(names[:20])}."
                )
            return given, given not in names
        return given, True
    column = next((name for name in ID_COLUMNS if name in names), None)
    index_may = index in ID_COLUMNS or (not index and _holds_text(frame.index))
    if column is not None and index_may and not _equal(frame, names.index(column)):
        raise DataError(
            f"{source}: both the index{f' {index}' if index else ''} and the column {column} may hold the "
            f'patient ids. Leave one out: reset_index(drop=True), or drop(columns="{column}").'
        )
    if column is not None:
        return column, False
    if index or index_may:
        return index or "patient_id", True
    if isinstance(frame.index, pd.RangeIndex):
        why = "its index only numbers the rows"
    else:
        why = 'its index has no name, and may only number the rows: df.index.name = "patient_id" if not'
    raise DataError(
        f"{source}: no patient ids: {why}, and no column is called {', '.join(ID_COLUMNS)}. Make the ids "
        "the index, df.set_index(COLUMN), or name their column: patient_id = ..."
    )


def _holds_text(index: pd.Index[Any]) -> bool:
    return pd.api.types.infer_dtype(index, skipna=True) == "string"


def _equal(frame: pd.DataFrame, place: int) -> bool:
    return bool(np.array_equal(frame.index.astype(str), frame.iloc[:, place].astype(str)))


def _categories(table: FrameTable, source: str, keys: Mapping[str, Any]) -> dict[str, list[str]]:
    """``one_hot`` for the columns of categories; {} where there is none.

    A column in which words stand among numbers is no column of categories: reading it refuses the words.
    """
    patterns = [*keys.get("drop", ()), keys.get("weight"), keys.get("quality"), QUALITY_COLUMN]
    left_out = [str(pattern).strip() for pattern in patterns if pattern]
    found, names = [], []
    for place, (name, kind) in enumerate(zip(table.names, table.kinds, strict=True)):
        if place == 0 or place in table.plain_places:
            continue
        if any(name == pattern or fnmatchcase(name, pattern) for pattern in left_out):
            continue
        if table.is_categorical(name) and kind != "date":
            found.append(name)
        elif kind == "text":
            numbers = numbers_of(table.text_cells(name), table.missing)
            if numbers.words.any() and np.isnan(numbers.values).all():
                found.append(name)
                filled = table.frame.iloc[:, place].dropna()
                distinct = filled.nunique()
                if distinct > MANY and 2 * distinct > len(filled):
                    names.append(f"{name} ({distinct} texts in {len(filled)} rows)")
    if names:
        raise DataError(
            f"{source}: columns of text that look like names or notes, not categories: {', '.join(names)}. "
            "Leave them out: drop = [...]; if they are categories, name all columns of categories: "
            "one_hot = [...]."
        )
    return {"one_hot": found} if found else {}
