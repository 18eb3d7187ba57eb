"""What a command prints, and where: words for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console

from hcat_core.catalog import Catalog, load_catalog
from hcat_core.printable import printable_lines


@dataclass(frozen=True)
class Output:
    """``words`` is the console for people: stdout, or stderr when stdout carries JSON."""

    words: Console
    as_json: bool
    quiet: bool

    @classmethod
    def make(cls, as_json: bool, quiet: bool) -> Output:
        """For the common options of a command."""
        return cls(Console(stderr=as_json, highlight=False, soft_wrap=True), as_json, quiet)

    def say(self, message: str) -> None:
        """A line for people; nothing under ``-q``."""
        if not self.quiet:
            self.words.print(printable_lines(message), markup=False)

    def warn(self, message: str) -> None:
        """One line on stderr, also under ``-q``."""
        print(f"hcat: warning: {printable_lines(message)}", file=sys.stderr)

    def document(self, value: object) -> None:
        """The JSON document, under ``--json``."""
        if self.as_json:
            print(json.dumps(value, indent=2, allow_nan=False))


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``, ``-q`` and ``--debug``, for every command."""
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."),
        click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout."),
    ):
        command = option(command)
    return command


def open_catalog(output: Output) -> Catalog:
    """Every installed component; a plugin that fails to load is one line on stderr."""
    catalog = load_catalog()
    for broken in catalog.broken:
        output.warn(f"plugin {broken.provider} failed to load: {broken.reason}")
    return catalog
