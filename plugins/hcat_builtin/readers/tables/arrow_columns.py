"""Columns of Arrow as numbers, text and ids, by their types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hcat_core.errors import DataError

_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


@dataclass(frozen=True)
class Form:
    """What the cells of a column are, and the name of its type for messages."""

    kind: Literal["number", "truth", "text", "date", "duration", "other"]
    type: str


def form_of(type_: Any, metadata: Mapping[bytes, bytes] | None = None) -> Form:
    """The form of an Arrow type; that of a dictionary's values for a dictionary (a category of pandas).

    Args:
        type_: the type.
        metadata: of the field, which name the extension that a column's numbers stand for.
    """
    from pyarrow import types

    extension = (metadata or {}).get(b"ARROW:extension:name", b"").decode("utf-8", "replace")
    if extension or hasattr(type_, "extension_name"):
        return Form("other", extension or str(type_.extension_name))
    if types.is_dictionary(type_):
        return form_of(type_.value_type)
    name = str(type_)
    if types.is_boolean(type_):
        return Form("truth", name)
    if (
        types.is_integer(type_)
        or types.is_floating(type_)
        or types.is_decimal(type_)
        or types.is_null(type_)
    ):
        return Form("number", name)
    if _is_text(type_) or types.is_string_view(type_) or _is_bytes(type_):
        return Form("text", name)
    if types.is_date(type_) or types.is_timestamp(type_) or types.is_time(type_):
        return Form("date", name)
    return Form("duration" if types.is_duration(type_) else "other", name)


def is_plain_number(type_: Any) -> bool:
    """Whether a type is one of whole numbers or of floats, as ``plain_matrix`` takes them."""
    from pyarrow import types

    return bool(types.is_float64(type_) or types.is_float32(type_) or types.is_integer(type_))


def plain_matrix(columns: list[Any]) -> np.ndarray:
    """(R, k) float64 of k columns of plain numbers; nulls are NaN."""
    import pyarrow

    batch = pyarrow.RecordBatch.from_arrays(columns, [str(place) for place in range(len(columns))])
    return np.asarray(batch.to_pandas().to_numpy(np.float64))


def float_cells(column: Any) -> np.ndarray:
    """(R,) float64 of a column of numbers or truth values; a null is NaN."""
    import pyarrow

    column = _decoded(column)
    if pyarrow.types.is_floating(column.type) and column.null_count == 0:
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    if pyarrow.types.is_boolean(column.type):
        column = column.cast(pyarrow.int8())
    if pyarrow.types.is_float16(column.type):
        column = column.cast(pyarrow.float32())
    cells = column.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(cells, dtype=np.float64)


def int_cells(column: Any) -> np.ndarray | None:
    """(R,) numbers: whole ones as such where no cell is null, else float64.

    Returns:
        None for whole numbers beyond 2**53 with null cells: no float tells them apart.
    """
    import pyarrow

    column = _decoded(column)
    if not pyarrow.types.is_integer(column.type):
        return float_cells(column)
    if column.null_count == 0:
        return np.asarray(column.to_numpy(zero_copy_only=False))
    present = column.drop_null().to_numpy(zero_copy_only=False)
    if (present > 2**53).any() or (present < -(2**53)).any():
        return None
    return float_cells(column)


def duration_days(column: Any) -> np.ndarray:
    """(R,) durations in days; a null is NaN."""
    import pyarrow

    column = _decoded(column)
    unit = column.type.unit
    return float_cells(column.cast(pyarrow.int64())) / _DAY[unit]


def durations(column: Any) -> np.ndarray:
    """(R,) timedelta64; a null is NaT."""
    return np.asarray(_decoded(column).to_numpy(zero_copy_only=False))


def text_cells(column: Any) -> np.ndarray:
    """(R,) text of a column of any form but other, None where null; dates in ISO form."""
    import pyarrow
    from pyarrow import types

    column = _decoded(column)
    if types.is_boolean(column.type) or types.is_floating(column.type) or types.is_integer(column.type):
        cells = [None if cell is None or cell != cell else str(cell) for cell in column.to_pylist()]
        return np.array([*cells, None], dtype=object)[:-1]
    if types.is_duration(column.type):
        days = duration_days(column).tolist()
        return np.array([*(None if day != day else str(day) for day in days), None], dtype=object)[:-1]
    if types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pyarrow.timestamp(column.type.unit))
    if types.is_null(column.type):
        return np.full(len(column), None, dtype=object)
    if not _is_text(column.type):
        column = column.cast(pyarrow.string())
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)


def id_cells(column: Any, source: str, name: str) -> np.ndarray:
    """(R,) raw patient ids as they are: text, bytes or whole numbers; None where null.

    Raises:
        DataError: for floats so large that two patients' numbers are stored as one.
    """
    from pyarrow import types

    column = _decoded(column)
    if types.is_floating(column.type):
        exact = {16: 2**11, 32: 2**24, 64: 2**53}[column.type.bit_width]
        numbers = float_cells(column)
        if (np.abs(numbers) >= exact).any():
            raise DataError(
                f"{source}: column {name}: patient ids are stored as {column.type}, which cannot tell "
                f"whole numbers from {exact:,} on apart. Write ids as text or whole numbers."
            )
        return numbers.astype(object)
    if _is_text(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)
    cells = column.to_pylist()
    if types.is_decimal(column.type):
        cells = [None if cell is None else int(cell) if cell == int(cell) else str(cell) for cell in cells]
    return np.array([*cells, None], dtype=object)[:-1]


def _decoded(column: Any) -> Any:
    """The values of a dictionary column, of any depth."""
    import pyarrow

    while pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column


def _is_text(type_: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(type_) or types.is_large_string(type_))


def _is_bytes(type_: Any) -> bool:
    """Bytes, which are read as UTF-8."""
    from pyarrow import types

    return bool(types.is_binary(type_) or types.is_large_binary(type_) or types.is_fixed_size_binary(type_))
