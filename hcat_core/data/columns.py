"""Columns of outcomes, groups and splits: from the rows of a file to the patients of a cohort."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from hcat_core.data.patient_ids import IdNormaliser
from hcat_core.reading import ColumnTable, Reader


def read_patient_columns(reader: Reader, names: Sequence[str]) -> ColumnTable:
    """Read columns of a file, with normalised patient ids.

    Raises:
        DataError: for a missing column, an invalid patient id, or one id written in two ways.
    """
    table = reader.read_columns(list(names))
    ids = IdNormaliser(reader.source).normalize(table.ids)
    return replace(table, ids=np.array(ids, dtype=object))


def column_by_patient(reader: Reader, name: str, patient_ids: Iterable[str]) -> list[object]:
    """Read one column of a file in the order of ``patient_ids``.

    Returns:
        N values as the file has them, bytes decoded as UTF-8; None for a patient that the file lacks. Of
        several rows of one patient the last is taken.

    Raises:
        DataError: as ``read_patient_columns`` does.
    """
    table = read_patient_columns(reader, [name])
    values = dict(zip(table.ids, table.columns[name], strict=True))
    return [_decoded(values.get(patient)) for patient in patient_ids]


def is_empty(value: object) -> bool:
    """Whether a cell holds no value: None, NaN or blank text."""
    return value is None or value != value or str(value).strip() == ""


def _decoded(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
