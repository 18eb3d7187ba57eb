"""Tables that fit the terminal: whole, in parts below each other, or with each row as a block of lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hcat_core.cli.wrapping import wrapped
from hcat_core.text.quoting import printable

WIDEST = 1000  # columns, where no terminal limits a table
WRAPPED = 24  # columns that a text needs to be readable when it is wrapped
MOST_PARTS = 3


def print_table(console: Console, table: Table, keys: int = 0) -> None:
    """Print a table in full: nothing is cut off, and no value is broken in two.

    Where the terminal is too narrow for the table, texts of its last column are wrapped between words; if
    that does not suffice, its columns are divided among tables below each other, each with the ``keys``
    that name the rows; or each row becomes a block of lines, one for each value. Without a terminal the
    table is as wide as it needs to be.

    Args:
        console: to print on.
        table: with all its rows.
        keys: how many of the first columns name a row; 0 for a table that is not divided.
    """
    needed = _width(console, table)
    last = max((len(str(cell)) for cell in table.columns[-1].cells), default=0) if table.columns else 0
    if not console.is_terminal:
        console.width = max(console.width, needed)
    elif needed > console.width and needed - last + WRAPPED > console.width:
        parts = _parts(console, table, keys) if keys else []
        if not parts:
            _print_blocks(console, table)
        for part in parts:
            _print_whole(console, part)
        return
    elif needed > console.width and keys and last <= WRAPPED:
        for part in _parts(console, table, keys) or [table]:
            _print_whole(console, part)
        return
    _print_whole(console, table)


def print_grouped(
    console: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print rows that share their first value: as one table where it fits, else one table for each value.

    Args:
        console: to print on.
        title: of the one table.
        headings: of the columns; the second one names a row within its group.
        rows: those of a group one after the other.
    """
    whole = _titled(title, headings, rows)
    if not console.is_terminal or _width(console, whole) <= console.width:
        print_table(console, whole)
        return
    if title:
        console.print(Text(printable(title), style="bold"))
    for place, value in enumerate(dict.fromkeys(row[0] for row in rows)):
        of_group = [row[1:] for row in rows if row[0] == value]
        if place:
            console.print()
        console.print(Text(printable(f"{headings[0]}: {value}")))
        print_table(console, _titled("", headings[1:], of_group), keys=1)


def _titled(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _print_whole(console: Console, table: Table) -> None:
    for column in table.columns[:-1]:
        column.no_wrap = True
    console.print(table)


def _width(console: Console, table: Table) -> int:
    return console.measure(table, options=console.options.update(width=WIDEST)).maximum


def _parts(console: Console, table: Table, keys: int) -> list[Table]:
    """The table's columns divided among tables that fit; none where that takes too many."""
    first = list(range(keys))
    parts: list[list[int]] = []
    for place in range(keys, len(table.columns)):
        longer = [*(parts[-1] if parts else []), place]
        if parts and _width(console, _of_columns(table, [*first, *longer])) <= console.width:
            parts[-1] = longer
        else:
            parts.append([place])
    made = [_of_columns(table, [*first, *part]) for part in parts]
    fit = all(_width(console, part) <= console.width for part in made)
    return made if fit and len(made) <= MOST_PARTS else []


def _of_columns(table: Table, places: Iterable[int]) -> Table:
    columns = [table.columns[place] for place in places]
    title = {"title": table.title, "title_justify": table.title_justify, "title_style": table.title_style}
    part = Table(box=None, pad_edge=False, **title)  # type: ignore[arg-type]
    for column in columns:
        part.add_column(column.header, no_wrap=True)
    for cells in zip(*(column.cells for column in columns), strict=True):
        part.add_row(*cells)
    return part


def _print_blocks(console: Console, table: Table) -> None:
    """Each row as lines: its first value, and below it the others with their headings."""
    if table.title:
        console.print(Text(printable(str(table.title)), style="bold"))
    headings = [str(column.header) for column in table.columns]
    width = max(len(heading) for heading in headings)
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        first, *others = (str(cell) for cell in cells)
        console.print(f"{headings[0]} {first}".strip())
        for heading, cell in zip(headings[1:], others, strict=True):
            if cell:
                console.print(wrapped(f"  {heading:<{width}}  {cell}", console.width, width + 2))
