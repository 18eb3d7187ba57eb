"""Columns of outcomes, groups and splits: from the rows of a file to one cell per patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcat_core.data.column import Column, parse_column
from hcat_core.data.missing_values import Missing
from hcat_core.data.patient_ids import IdNormaliser
from hcat_core.errors import DataError
from hcat_core.reading import LineReader, Reader, TextColumnReader
from hcat_core.text.counted import counted
from hcat_core.text.file_rows import Line, named_rows, no_line

SHOWN = 3


@dataclass(frozen=True)
class PatientColumns:
    """Columns of a file, with one cell for each of its N patients, and what the reader found beside them.

    Attributes:
        ids: N normalised ids.
        columns: by name, N cells each.
        written: the spelling in the file of ids that normalisation changed.
        findings: of the reader.
    """

    ids: tuple[str, ...]
    columns: Mapping[str, Column]
    written: Mapping[str, str]
    findings: tuple[str, ...] = ()


def read_patient_columns(
    reader: Reader, names: Sequence[str], missing: Sequence[str | float] = (), *, as_text: bool = False
) -> PatientColumns:
    """Read columns of a file with one or more rows per patient.

    The rows of a patient must say the same; an empty cell agrees with any other.

    Args:
        reader: of the file.
        names: of the columns.
        missing: what stands for an empty cell in them.
        as_text: whether the cells of a text file stay as they stand there, where 01 and 1 are two.

    Raises:
        DataError: for a missing column, dates, an invalid patient id, one id written in two ways, or rows
            of one patient that contradict each other.
    """
    if as_text and isinstance(reader, TextColumnReader):
        table = reader.read_text_columns(list(names))
    else:
        table = reader.read_columns(list(names))
    line = line_of(reader)
    normaliser = IdNormaliser(reader.source, line)
    ids = np.array(normaliser.normalize(table.ids), dtype=object)
    empty = Missing.of(missing)
    columns = [parse_column(reader.source, name, table.columns[name], empty, line) for name in names]
    patient, unique = pd.factorize(ids)
    if len(unique) < len(ids):
        _refuse_contradictions(reader.source, columns, patient)
        columns = [column[_first_filled(column, patient)] for column in columns]
    by_name = dict(zip(names, columns, strict=True))
    return PatientColumns(tuple(unique), by_name, normaliser.respelt(), table.findings)


def line_of(reader: Reader) -> Line:
    """The lines of a reader's rows, for messages."""
    return reader.line if isinstance(reader, LineReader) else no_line


def column_by_patient(
    reader: Reader, name: str, patient_ids: Iterable[str], missing: Sequence[str | float] = ()
) -> list[object]:
    """Read one column of a file in the order of ``patient_ids``.

    Returns:
        N values as the file has them, text without outer blanks; None for an empty cell, and for a patient
        that the file lacks.

    Raises:
        DataError: as ``read_patient_columns`` does.
    """
    table = read_patient_columns(reader, [name], missing)
    values = dict(zip(table.ids, table.columns[name].values, strict=True))
    return [values.get(patient) for patient in patient_ids]


def _first_filled(column: Column, patient: np.ndarray) -> np.ndarray:
    """(N,) row of each patient's first cell that is not empty, or of its first row."""
    order = np.argsort(~column.filled, kind="stable")  # rows with a value first, in the order of the file
    _, first = np.unique(patient[order], return_index=True)
    return order[first]


def _refuse_contradictions(source: str, columns: Sequence[Column], patient: np.ndarray) -> None:
    """Stop where rows of one patient hold different values, with the rows of some and the number of all."""
    sentences, several = [], np.zeros(int(patient.max()) + 1, bool)
    for column in columns:
        first = _first_filled(column, patient)[patient]
        differs = column.filled & (column.codes != column.codes[first])
        several[patient[differs]] = True
        rows = np.flatnonzero(differs)
        _, once = np.unique(patient[rows], return_index=True)
        for row in rows[np.sort(once)][:SHOWN].tolist():
            pair = named_rows([int(first[row]), row], column.line)
            of_pair = f"{column.text(first[row])} and {column.text(row)}"
            sentences.append(f"{' and '.join(pair)}: {column.name} is {of_pair}")
    if sentences:
        raise DataError(
            f"{source}: {counted(int(several.sum()), 'patient has', 'patients have')} rows that contradict "
            "each other: "
            f"{'; '.join(sentences)}. The rows of one patient must say the same: correct the file, or "
            "keep one row per patient."
        )
