"""The hooks that a plugin may implement: to offer components, and to be notified of a run.

A plugin is a module named by an entry point of group ``hcat``; it implements any of these functions with
``@hookimpl``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    run_folder: Path, epochs: int, steps_per_epoch: int, member: int, members: int
) -> None:
    """Called before training ``member`` of ``members`` begins or continues in ``run_folder``."""


@hookspec
def hcat_epoch_finished(record: Mapping[str, object]) -> None:
    """Called after each epoch; ``record`` is its line of ``metrics.jsonl``."""


@hookspec
def hcat_run_finished(run_folder: Path, summary: Mapping[str, object]) -> None:
    """Called at the end of a run; ``summary`` is the content of ``enhanced_hcat_training_summary.json``."""
