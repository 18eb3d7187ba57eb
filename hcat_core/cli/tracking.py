"""The option ``--track`` of the commands that train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def track_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--track``, whose names ``hcat_core.registry.trackers.add_trackers`` takes."""
    return click.option(
        "--track",
        "trackers",
        metavar="NAME",
        multiple=True,
        help="Also write curves and scores for a tracking tool: tensorboard or mlflow, to local files; "
        "repeatable. Needs the extra track.",
    )(command)
