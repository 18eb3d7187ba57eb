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
from rich.text import Text

from hcat_core.cli.streams import StandardStream
from hcat_core.cli.wrapping import wrapped
from hcat_core.errors import StorageError
from hcat_core.recipe.loading import declared_plugins
from hcat_core.registry.catalog import Catalog, load_catalog
from hcat_core.registry.discovery import NO_PLUGINS, NO_PLUGINS_VARIABLE, strictest
from hcat_core.text.quoting import printable
from hcat_core.training import launch

NO_PLUGINS_ASKED = "hcat.no_plugins"


class InertConsole(Console):
    """Prints text as it is: names come from files, and may hold markup or terminal codes.

    On a terminal, sentences are broken between words; elsewhere each is one line.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print what rich can print; a single text is wrapped to the width of a terminal."""
        if self.is_terminal and len(objects) == 1 and isinstance(objects[0], str):
            objects = (wrapped(objects[0], self.width),)
        super().print(*objects, **options)

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
                text = printable(f"hcat: warning: {message}")
                stderr.write((wrapped(text, stderr.columns) if stderr.isatty() else text) + "\n")
                stderr.flush()

    def document(self, value: object) -> None:
        """Print the JSON document, if ``--json`` was given."""
        if self.as_json:
            stdout = StandardStream("stdout")
            stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")
            stdout.flush()


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``, ``-q``, ``--no-plugins`` and ``--debug``, which every command has."""
    for option in (
        click.option(
            "--no-plugins",
            is_flag=True,
            expose_value=False,
            envvar=NO_PLUGINS_VARIABLE,
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
        output.warn(broken.message)
    return catalog


def _no_plugins(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[NO_PLUGINS_ASKED] = value
