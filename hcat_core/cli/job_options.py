"""The options of every command that runs many jobs: how many processes, or which cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from hcat_core.errors import UsageError

if TYPE_CHECKING:
    from hcat_core.experiments.jobs import Backend


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--jobs``, or ``--backend dask`` and ``--scheduler``."""
    for option in (
        click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster, such as tcp://host:8786."),
        click.option(
            "--backend",
            type=click.Choice(("loky", "dask")),
            default="loky",
            show_default=True,
            help="Processes of this machine, or a Dask cluster.",
        ),
        click.option(
            "--jobs", type=click.IntRange(1), default=None, help="Processes; one a core if not given."
        ),
    ):
        command = option(command)
    return command


def chosen_backend(jobs: int | None, backend: str, scheduler: str | None) -> Backend:
    """Where jobs run.

    Raises:
        UsageError: for options that do not go together.
    """
    from hcat_core.experiments.jobs import Backend

    if (backend == "dask") != (scheduler is not None):
        raise UsageError("--backend dask and --scheduler ADDRESS go together: give both or neither.")
    if scheduler is not None and jobs is not None:
        raise UsageError(
            "--jobs counts processes of this machine; a cluster has as many as it has workers."
        )
    return Backend(jobs or os.cpu_count() or 1, scheduler)
