"""How messages name the rows of a file: by the line of a text file, else by their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Line = Callable[[int], int | None]
"""The line of a text file on which a row begins, the first being 1; None in a file without lines."""


def no_line(row: int) -> None:
    """The line of a row in a file without lines."""
    return


def named_row(row: int, line: Line = no_line) -> str:
    """The name of one row, as ``named_rows`` has it."""
    return named_rows([row], line)[0]


def named_rows(rows: Sequence[int], line: Line = no_line) -> list[str]:
    """Names of rows for a message: ``line 5``, or ``row 3 (counted from 0)`` and then ``row 4``.

    Args:
        rows: numbers, counted from 0 and without the header.
        line: of a row.
    """
    names: list[str] = []
    for row in rows:
        at = line(row)
        counted = "" if names else " (counted from 0)"
        names.append(f"row {row}{counted}" if at is None else f"line {at}")
    return names
