"""What the columns of a table hold, for ``hcat init``."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcat_builtin.readers.tables.cells import TableFile, repeated
from hcat_builtin.readers.tables.roles import ID_COLUMNS
from hcat_core.data.column import DATE
from hcat_core.data.sentinel_codes import codes_of
from hcat_core.reading import ColumnSurvey, FileSurvey

MOST_VALUES = 50
FEW_NUMBERS = 20  # values of a column of whole numbers that may be codes of categories
_TRUTHS = frozenset(("True", "False", "TRUE", "FALSE", "true", "false"))


def survey_table(table: TableFile, patient_id: str | None) -> FileSurvey:
    """Look at every column of a table.

    Args:
        table: the file.
        patient_id: the column of ids, or None for one with a usual name.

    Raises:
        DataError: as reading columns does.
    """
    twice = repeated(table.names)
    ids = patient_id or next((name for name in ID_COLUMNS if name in table.names), None)
    names = [name for name in table.names if name != ids and name not in twice]
    if ids is None:
        names = names[1:]  # what stands for the ids while the columns are read
    patients, columns = table.columns(ids or table.names[0], names)
    if ids is None:
        columns = {table.names[0]: patients, **columns}
        patients = np.zeros(0, dtype=object)
    surveys = [_survey(name, cells) for name, cells in columns.items()]
    surveys += [ColumnSurvey(name, "repeated") for name in twice if name != ids]
    place = {name: at for at, name in enumerate(table.names)}
    surveys.sort(key=lambda one: place[one.name])
    return FileSurvey(ids, table.names, patients, tuple(surveys))


def _survey(name: str, cells: np.ndarray) -> ColumnSurvey:
    if cells.dtype.kind == "M":
        return ColumnSurvey(name, "dates")
    if cells.dtype.kind in "biufm":
        return _survey_numbers(name, cells)
    texts = pd.Series(cells, dtype=object).dropna().astype(str).str.strip()
    texts = texts[texts != ""]
    if texts.empty:
        return ColumnSurvey(name, "empty")
    counts = {str(value): int(count) for value, count in texts.value_counts().items()}
    if set(counts) <= _TRUTHS:
        return ColumnSurvey(name, "numbers", len(counts), counts)
    values = counts if len(counts) <= MOST_VALUES else {}
    numbers = pd.to_numeric(pd.Series(list(counts)), errors="coerce").notna().to_numpy()
    words = {
        value: count for (value, count), number in zip(counts.items(), numbers, strict=True) if not number
    }
    if not words:
        return ColumnSurvey(name, "numbers", len(counts), values)
    if all(DATE.fullmatch(word) for word in words):
        return ColumnSurvey(name, "dates", len(counts), values)
    cells_of = "mixed" if len(words) < len(counts) else "text"
    return ColumnSurvey(name, cells_of, len(counts), values, words if cells_of == "mixed" else {})  # type: ignore[arg-type]


def _survey_numbers(name: str, cells: np.ndarray) -> ColumnSurvey:
    if cells.dtype.kind == "m":
        return ColumnSurvey(name, "numbers" if not np.isnat(cells).all() else "empty")
    numbers = cells.astype(np.float64)
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return ColumnSurvey(name, "empty")
    codes = tuple(f"{code:.0f}" for code in codes_of(numbers))
    if (known != np.round(known)).any():
        return ColumnSurvey(name, "numbers", codes=codes)
    values, counts = np.unique(known, return_counts=True)
    if len(values) > FEW_NUMBERS:
        return ColumnSurvey(name, "numbers", codes=codes)
    by_count = dict(zip((f"{value:g}" for value in values), counts.tolist(), strict=True))
    return ColumnSurvey(name, "numbers", len(values), by_count, codes=codes)
