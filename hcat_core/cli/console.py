"""What a command prints, and where: words for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.text import Text

from hcat_core.recipe.loading import declared_plugins
from hcat_core.registry.catalog import Catalog, load_catalog
from hcat_core.registry.discovery import NO_PLUGINS, strictest
from hcat_core.text.quoting import printable
from hcat_core.training import launch

NO_PLUGINS_ASKED = "hcat.no_plugins"
WIDE = 112  # columns that the widest table needs


class InertConsole(Console):
    """Prints texts as they are: names come from files, and may hold markup or a terminal's own codes."""

    def render_str(self, text: str, **options: Any) -> Text:
        """A text, in a line or in a table's cell."""
        return super().render_str(printable(text), **options)


@dataclass(frozen=True)
class Output:
    """``words`` is the console for people: stdout, or stderr when stdout carries JSON."""

    words: Console
    as_json: bool
    quiet: bool

    @classmethod
    def make(cls, as_json: bool, quiet: bool) -> Output:
        """For the common options of a command; of processes started together the first alone speaks."""
        words = InertConsole(
            stderr=as_json,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
            quiet=launch.rank() > 0,
        )
        return cls(words, as_json, quiet)

    def say(self, message: str) -> None:
        """A line for people; nothing under ``-q``."""
        if not self.quiet:
            self.words.print(message)

    def warn(self, message: str) -> None:
        """One line on stderr, also under ``-q``."""
        if not self.words.quiet:
            print(printable(f"hcat: warning: {message}"), file=sys.stderr)

    def document(self, value: object) -> None:
        """The JSON document, under ``--json``."""
        if self.as_json:
            print(json.dumps(value, indent=2, allow_nan=False))


def print_table(console: Console, table: RenderableType) -> None:
    """Nothing of a table is cut off: a file or a pipe is as wide as we like, and a narrow window wraps."""
    console.width = max(console.width, WIDE)
    console.print(table)


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``, ``-q``, ``--no-plugins`` and ``--debug``, for every command."""
    for option in (
        click.option(
            "--no-plugins",
            is_flag=True,
            expose_value=False,
            envvar="HCAT_NO_PLUGINS",
            callback=_no_plugins,
            help="Import no plugin but hcat's own components. [HCAT_NO_PLUGINS=1]",
        ),
        click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."),
        click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
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
