"""Outcomes that are numbers: a column of values, and what in it can be no value."""

from __future__ import annotations

import numpy as np

from hcat_core.data.column import Column, number_column
from hcat_core.data.schema import TaskTable
from hcat_core.data.sentinel_codes import codes_of
from hcat_core.errors import DataError


def read_numbers(column: Column, name: str, task: TaskTable) -> np.ndarray:
    """(R,) float32 values, NaN where a cell is empty.

    Args:
        column: with R cells.
        name: of the outcome.
        task: its table.

    Raises:
        DataError: for cells that are no finite numbers, and codes for "not known", such as -999, among
            the values.
    """
    key = f"cohort.targets.tasks.{name}"
    numbers = number_column(column, f"values of {name}")
    codes = [code for code in codes_of(numbers) if code not in task.allow]
    where = f"{column.source}: column {column.name}"
    if codes:
        times = ", ".join(f"{code:g} ({int((numbers == code).sum())} times)" for code in codes)
        listed = ", ".join(f"{code:g}" for code in codes)
        raise DataError(
            f"{where}: {times} lies far from the other values of {name}, and looks like a code for not "
            f"known. If it is one, say so: cohort.targets.missing = [{listed}]. If it is a value, list it "
            f"in {key}.allow = [{listed}]."
        )
    beyond = np.flatnonzero(np.abs(numbers) > np.finfo(np.float32).max)
    if len(beyond):
        raise DataError(
            f"{where}: values of {name} are larger than 3e38: {column.listed(beyond)}. Give them in "
            "another unit, or as logarithms."
        )
    return numbers.astype(np.float32)
