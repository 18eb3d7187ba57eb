"""The options of commands that run many jobs: how many processes, or which cluster."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from hcat_core.errors import UsageError

if TYPE_CHECKING:
    from hcat_core.experiments.jobs import Backend


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--jobs``, ``--backend`` and ``--scheduler``; the command is given where jobs run, as ``where``.

    Raises:
        UsageError: when the command is called with options that do not go together.
    """

    @functools.wraps(command)
    def with_backend(*, jobs: int | None, backend: str, scheduler: str | None, **others: Any) -> Any:
        return command(where=_chosen_backend(jobs, backend, scheduler), **others)

    wrapped: Callable[..., Any] = with_backend
    for option in (
        click.option(
            "--scheduler", metavar="ADDRESS", help="Address of the Dask scheduler, such as tcp://host:8786."
        ),
        click.option(
            "--backend",
            type=click.Choice(("loky", "dask")),
            default="loky",
            show_default=True,
            help="Run jobs in processes of this machine (loky) or on a Dask cluster.",
        ),
        click.option(
            "--jobs",
            type=click.IntRange(1),
            default=None,
            help="Number of processes.  [default: one per core]",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


def _chosen_backend(jobs: int | None, backend: str, scheduler: str | None) -> Backend:
    from hcat_core.experiments.jobs import Backend

    if (backend == "dask") != (scheduler is not None):
        raise UsageError("--backend dask and --scheduler ADDRESS go together: give both or neither.")
    if scheduler is not None and jobs is not None:
        raise UsageError(
            "--jobs is the number of processes of this machine; on a cluster, each worker runs one job. "
            "Leave out --jobs or --scheduler."
        )
    return Backend(jobs or os.cpu_count() or 1, scheduler)
