"""The event times that a head needs from training patients."""

from __future__ import annotations

from hcat_core.cohort import Targets
from hcat_core.errors import DataError
from hcat_core.layout import Layout
from hcat_core.metrics.survival import timed


def refuse_without_times(targets: Targets, layout: Layout, column: int, head: str) -> None:
    """Check that the time of at least one training patient is known.

    Args:
        targets: of the training patients.
        layout: names the task.
        column: of the task.
        head: name of the component, for the message.

    Raises:
        DataError: for a task without times.
    """
    if not timed(targets, column).any():
        raise DataError(
            f"a {head} head needs times, and the task {layout.task_names[column]} has none: give its time "
            "and event in cohort.targets, or use a binary head"
        )
