"""The tasks of an outcome: one of an event or a number, and one for each class of several."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from hcat_core.data.schema import TaskTable
from hcat_core.layout import Task


def tasks_of(name: str, table: TaskTable, categories: Sequence[str] = ()) -> tuple[Task, ...]:
    """The tasks of one outcome, in the order of the output.

    Args:
        name: of the outcome.
        table: its columns.
        categories: of an outcome of classes, as they are written in the file.
    """
    outcome = table.outcome or name
    if table.kind == "continuous":
        return (Task(name, None, outcome, kind="continuous", unit=table.unit or ""),)
    if table.kind == "multiclass":
        return tuple(
            Task(f"{name}={safe}", None, f"{outcome}_{safe.lower()}", None, None, "class", name, one)
            for one, safe in zip(categories, safe_names(categories), strict=True)
        )
    horizon = None if table.horizon_days is None else as_stored(table.horizon_days)
    return (Task(name, horizon, outcome, table.competing, _times(table)),)


def safe_names(categories: Sequence[str]) -> list[str]:
    """A name for each category that a file, a TOML key and a column may have: ``IDC_NST`` of ``IDC, NST``.

    Categories that give the same name, also but for capitals, are numbered: ``A`` and ``A_2`` of ``A+`` and
    ``A-``.

    Example:
        >>> safe_names(["LUAD", "A+", "A-", "+"])
        ['LUAD', 'A', 'A_2', 'class']
    """
    names: list[str] = []
    taken: set[str] = set()
    for category in categories:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", category).strip("_")[:40] or "class"
        name, number = plain, 1
        while name.lower() in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.lower())
        names.append(name)
    return names


def as_stored(days: float) -> float:
    """Days as a time of ``Targets`` holds them, so that an event on the day of the horizon is on time."""
    return float(np.float32(days))


def _times(task: TaskTable) -> tuple[str, str] | None:
    """Columns of time and event; one column of events may hold several, each by values of its own."""
    if task.time is None or task.status is None:
        return None
    of_event = "" if task.event_values is None else f" = {', '.join(map(str, task.event_values.event))}"
    of_time = "" if task.last_contact is None else f" or {task.last_contact}"
    return (f"{task.time}{of_time}", f"{task.status}{of_event}")
