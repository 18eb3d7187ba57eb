"""The console of every command: text for people, one JSON document for programs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hcat_core.cli.streams import StandardStream
from hcat_core.errors import StorageError
from hcat_core.recipe.loading import declared_plugins
from hcat_core.registry.catalog import Catalog, load_catalog
from hcat_core.registry.discovery import NO_PLUGINS, strictest
from hcat_core.text.quoting import printable
from hcat_core.training import launch

NO_PLUGINS_ASKED = "hcat.no_plugins"
WIDEST = 1000  # columns, where no terminal limits a table
WRAPPED = 24  # columns that a text needs to be readable when it is wrapped


class InertConsole(Console):
    """Prints text as it is: names come from files, and may hold markup or terminal codes."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of a line or of a table's cell, with control characters made visible."""
        return super().render_str(printable(text), **options)


@dataclass(frozen=True)
class Output:
    """Where a command prints.

    ``words`` is the console for people: stdout, or stderr when stdout carries JSON.
    """

    words: Console
    as_json: bool
    quiet: bool

    @classmethod
    def make(cls, as_json: bool, quiet: bool) -> Output:
        """The output under a command's common options; of several processes only rank 0 prints."""
        words = InertConsole(
            file=StandardStream("stderr" if as_json else "stdout"),  # type: ignore[arg-type]
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
            quiet=launch.rank() > 0,
        )
        return cls(words, as_json, quiet)

    def say(self, message: str) -> None:
        """Print a line for people, unless ``-q`` was given."""
        if not self.quiet:
            self.words.print(message)

    def warn(self, message: str) -> None:
        """Print one line on stderr, also under ``-q``."""
        if not self.words.quiet:
            with contextlib.suppress(StorageError):  # a full disk for warnings does not stop the work
                stderr = StandardStream("stderr")
                stderr.write(printable(f"hcat: warning: {message}") + "\n")
                stderr.flush()

    def document(self, value: object) -> None:
        """Print the JSON document, if ``--json`` was given."""
        if self.as_json:
            stdout = StandardStream("stdout")
            stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")
            stdout.flush()


def print_table(console: Console, table: Table) -> None:
    """Print a table in full: nothing is cut off, and no value is broken in two.

    Where the terminal is too narrow for the table, texts of its last column are wrapped between words; if
    that does not suffice, each row becomes a block of lines, one for each value. Without a terminal the
    table is as wide as it needs to be.
    """
    needed = console.measure(table, options=console.options.update(width=WIDEST)).maximum
    last = max((len(str(cell)) for cell in table.columns[-1].cells), default=0) if table.columns else 0
    if not console.is_terminal:
        console.width = max(console.width, needed)
    elif needed > console.width and needed - last + WRAPPED > console.width:
        _print_blocks(console, table)
        return
    for column in table.columns[:-1]:
        column.no_wrap = True
    console.print(table)


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
                console.print(f"  {heading:<{width}}  {cell}")


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``, ``-q``, ``--no-plugins`` and ``--debug``, which every command has."""
    for option in (
        click.option(
            "--no-plugins",
            is_flag=True,
            expose_value=False,
            envvar="HCAT_NO_PLUGINS",
            callback=_no_plugins,
            help="Import no plugins, only hcat's own components. [HCAT_NO_PLUGINS=1]",
        ),
        click.option(
            "--debug", is_flag=True, expose_value=False, help="Show the Python traceback of an error."
        ),
        click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout."),
    ):
        command = option(command)
    return command


def open_catalog(output: Output, recipes: Sequence[Path] = (), sets: Sequence[str] = ()) -> Catalog:
    """The installed components; a plugin that fails to load is one line on stderr.

    What ``--no-plugins`` or the ``plugins`` of any of the recipes (under ``--set``) does not let in is
    not imported.

    Raises:
        RecipeError: for a recipe that cannot be read.
    """
    declared = [declared_plugins(path, sets) for path in recipes]
    asked = click.get_current_context().meta.get(NO_PLUGINS_ASKED, False)
    catalog = load_catalog(allowed=NO_PLUGINS if asked else strictest(declared))
    for broken in catalog.broken:
        output.warn(f"plugin {broken.provider} failed to load: {broken.reason}")
    return catalog


def _no_plugins(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[NO_PLUGINS_ASKED] = value
