"""The hooks that a plugin may implement: to offer components, and to be told of runs and comparisons.

A plugin is a module named by an entry point of group ``hcat``; it implements any of these functions with
``@hookimpl``, and takes those of their arguments that it needs. Hooks are called in the process that was
started, one at a time. A plugin whose hook raises is named once and not called again; the run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from hcat_core.registry.component import Component

hookspec = pluggy.HookspecMarker("hcat")
hookimpl = pluggy.HookimplMarker("hcat")


@hookspec
def hcat_components() -> Iterable[Component]:
    """Return the components that this plugin offers, without importing torch or their modules."""
    return ()


@hookspec
def hcat_imputer_epoch_finished(imputer: str, epoch: int, epochs: int, crps: float) -> None:
    """Called now and then while an imputer's network is fitted; ``crps`` is the best so far, or NaN."""


@hookspec
def hcat_run_started(
    run_folder: Path,
    recipe: Mapping[str, object],
    epochs: int,
    steps_per_epoch: int,
    member: int,
    members: int,
) -> None:
    """Called before training ``member`` of ``members`` begins or continues in ``run_folder``.

    ``recipe`` is the resolved recipe. Estimators that are not trained in epochs have one member, no epochs
    and no steps.
    """


@hookspec
def hcat_steps_taken(run_folder: Path, epoch: int, step: int, steps: int, loss: float) -> None:
    """Called about once a second within an epoch, after ``step`` of ``steps`` of the mean ``loss``."""


@hookspec
def hcat_epoch_finished(run_folder: Path, record: Mapping[str, object]) -> None:
    """Called after each epoch; ``record`` is its line of ``metrics.jsonl``."""


@hookspec
def hcat_run_finished(run_folder: Path, summary: Mapping[str, object]) -> None:
    """Called at the end of a run; ``summary`` is the content of ``enhanced_hcat_training_summary.json``."""


@hookspec
def hcat_comparison_started(folder: Path, names: Sequence[str], jobs: int) -> None:
    """Called before a comparison or search in ``folder`` of ``names``, which has so many jobs.

    The names are those of recipes or imputers.
    """


@hookspec
def hcat_job_finished(folder: Path, job: str, result: Mapping[str, object]) -> None:
    """Called for each result of a comparison or a search, those of an earlier call included.

    ``job`` says in words which one it is (``small_cohort, repeat 1, fold 3``), ``result`` is the content of
    its file; ``result["error"]`` is None for a job that did not fail.
    """


@hookspec
def hcat_comparison_finished(folder: Path, document: Mapping[str, object]) -> None:
    """Called at the end; ``document`` is the content of ``comparison.json``, of a search ``tune.json``."""
