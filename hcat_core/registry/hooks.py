"""The hooks: who is here, and what just happened. Hooks never build; registries never emit.

A plugin is a module named by an entry point of group ``hcat``; it implements any of these with
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
    """The components this plugin offers. Must not import torch or the components themselves."""
    return ()


@hookspec
def hcat_run_started(run_folder: Path, epochs: int, steps_per_epoch: int) -> None:
    """A training is about to begin (or go on) in ``run_folder``."""


@hookspec
def hcat_epoch_finished(record: Mapping[str, object]) -> None:
    """An epoch is over; ``record`` is its line of ``metrics.jsonl``."""


@hookspec
def hcat_run_finished(run_folder: Path, summary: Mapping[str, object]) -> None:
    """The run is over; ``summary`` is what the summary file holds."""
