"""Options of commands that use a recipe many times: folds, repeats, a seed, settings, a result folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def folds_option(text: str) -> Decorator:
    """Add ``--folds``: 5, unless another number from 2 on is given."""
    return click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help=text)


def repeats_option(default: int, text: str) -> Decorator:
    """Add ``--repeats``, how often patients are divided anew."""
    return click.option("--repeats", type=click.IntRange(1), default=default, show_default=True, help=text)


def seed_option(text: str) -> Decorator:
    """Add ``--seed``, of whatever is random."""
    return click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help=text)


def baselines_option(text: str) -> Decorator:
    """Add ``--baselines`` and ``--no-baselines``: simple models beside the recipes."""
    return click.option("--baselines/--no-baselines", default=True, show_default=True, help=text)


def sets_option(text: str) -> Decorator:
    """Add ``--set KEY=VALUE``, which changes recipes."""
    return click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help=text)


def strict_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--strict``, which stops at findings about data quality."""
    text = "Stop at findings about data quality, such as duplicated patients."
    return click.option("--strict", is_flag=True, help=text)(command)


def outdir_option(default: str, text: str) -> Decorator:
    """Add ``--outdir``, the folder of tables and of results that are not made again."""
    return click.option(
        "--outdir", type=click.Path(path_type=Path), default=Path(default), show_default=True, help=text
    )
