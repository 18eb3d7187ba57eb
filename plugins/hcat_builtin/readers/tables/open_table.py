"""Open a table, whatever its format."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hcat_builtin.readers.tables.cells import TableFile
from hcat_builtin.readers.tables.delimited import open_delimited
from hcat_builtin.readers.tables.file_kind import kind_of_file
from hcat_builtin.readers.tables.parquet import open_parquet
from hcat_core.data.missing_values import Missing


def open_table(
    path: Path, missing: Missing | None = None, decimal: Literal[".", ","] | None = None
) -> TableFile:
    """Open a text table or a Parquet file, as its first bytes say which.

    Args:
        path: the file.
        missing: words that mean "not measured".
        decimal: the decimal mark of numbers in text. If None, a text table shows it, and in Parquet it is a
            point.

    Raises:
        DataError: for a file that is neither, or that cannot be read with certainty.
    """
    missing = missing or Missing()
    if kind_of_file(path) == "parquet":
        return open_parquet(path, missing, decimal)
    return open_delimited(path, missing, decimal)
