"""Outcomes: labels at a horizon, derived from times and events or checked against them.

Where a task has a competing one, its labels are those of the cumulative incidence: a patient with the
competing event first is event-free from then on, and is not censored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from hcat_core.cohort import Targets, Task
from hcat_core.data.columns import read_patient_columns
from hcat_core.data.schema import TargetsTable, TaskTable
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, Reader


@dataclass(frozen=True)
class Outcomes:
    """The targets of the patients of one file, one row per patient, and what was found beside them."""

    ids: tuple[str, ...]
    targets: Targets
    findings: tuple[str, ...] = ()


SAME_DAY = 0.5  # days; follow-up that ends with the competing event may be rounded


def derive_labels(time: np.ndarray, event: np.ndarray, horizon_days: float) -> np.ndarray:
    """Labels at a horizon, (N,) int8: 1 event by then, 0 no event by then, -1 unknown.

    A patient censored before the horizon is unknown, never event-free. One with a competing event by the
    horizon is event-free: the event can no longer happen.

    Args:
        time: (N,) days.
        event: (N,) as in ``Targets.event``.
        horizon_days: until when the event counts.
    """
    known = np.isfinite(time) & (event >= 0)
    labels = np.full(time.shape, -1, np.int8)
    labels[known & (event == 1) & (time <= horizon_days)] = 1
    labels[known & (time > horizon_days)] = 0
    labels[known & (event == 0) & (time == horizon_days)] = 0
    labels[known & (event == 2)] = 0
    return labels


def with_competing_events(
    time: np.ndarray, event: np.ndarray, other_time: np.ndarray, other_event: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) times and events of a task in which another event may come first, which is then 2.

    The competing event came first where it ended the follow-up for this one, or came before its end.

    Args:
        time: (N,) days of the task.
        event: (N,) 1, 0 or -1.
        other_time: (N,) days of the competing event.
        other_event: (N,) 1, 0 or -1.
    """
    with np.errstate(invalid="ignore"):  # unknown times are NaN
        first = (event == 0) & (other_event == 1) & (other_time <= time + SAME_DAY)
    return np.where(first, np.minimum(time, other_time), time), np.where(first, 2, event).astype(np.int8)


def read_targets(reader: Reader, table: TargetsTable) -> tuple[tuple[Task, ...], Outcomes]:
    """Read the columns of every task and check them against each other.

    Raises:
        DataError: for a missing column, values other than 0, 1 and -1, labels that disagree with their time
            and event, or a patient with two rows.
    """
    wanted = [
        column
        for task in table.tasks.values()
        for column in (task.label, task.time, task.event)
        if column is not None
    ]
    columns = read_patient_columns(reader, list(dict.fromkeys(wanted)))
    ids = columns.ids.tolist()
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        row = next(r for r, i in enumerate(ids) if i in seen or seen.add(i))  # type: ignore[func-returns-value]
        raise DataError(
            f"{reader.source}: row {row} is a second row of outcomes for one patient. "
            "Keep one row per patient in the file of cohort.targets."
        )
    read = {name: _read_times(reader.source, columns, name, task) for name, task in table.tasks.items()}
    parts = []
    for name, task in table.tasks.items():
        time, event = read[name]
        if task.competing is not None:
            time, event = with_competing_events(time, event, *read[task.competing])
        parts.append((_label(reader.source, columns, name, task, time, event), time, event))
    targets = Targets(
        labels=torch.from_numpy(np.stack([label for label, _, _ in parts], axis=1)),
        time=torch.from_numpy(np.stack([time for _, time, _ in parts], axis=1)),
        event=torch.from_numpy(np.stack([event for _, _, event in parts], axis=1)),
    )
    tasks = tuple(
        Task(name, _as_stored(task.horizon_days), task.outcome or name, task.competing, _times(task))
        for name, task in table.tasks.items()
    )
    return tasks, Outcomes(tuple(ids), targets, columns.findings)


def _as_stored(days: float) -> float:
    """Days as a time of ``Targets`` holds them, so that an event on the day of the horizon is on time."""
    return float(np.float32(days))


def _times(task: TaskTable) -> tuple[str, str] | None:
    return None if task.time is None or task.event is None else (task.time, task.event)


def _read_times(
    source: str, columns: ColumnTable, name: str, task: TaskTable
) -> tuple[np.ndarray, np.ndarray]:
    """Times and events of one task; NaN and -1 where it has labels alone."""
    n = len(columns.ids)
    if task.time is None and task.event is None:
        return np.full(n, np.nan, np.float32), np.full(n, -1, np.int8)
    if task.time is None or task.event is None:
        raise DataError(f"cohort.targets.tasks.{name}: time and event belong together; only one is given.")
    time = _numbers(source, columns.columns, task.time).astype(np.float32)
    if (time < 0).any():
        raise DataError(
            f"{source}: {task.time}: {int((time < 0).sum())} times are negative. "
            "Times are days from the start to the event or the last contact."
        )
    return time, _zero_one(source, columns.columns, task.event)


def _label(
    source: str, columns: ColumnTable, name: str, task: TaskTable, time: np.ndarray, event: np.ndarray
) -> np.ndarray:
    """Labels of one task: its column, checked against what times and events say, or those alone."""
    derived = derive_labels(time, event, _as_stored(task.horizon_days))
    if task.label is None:
        if task.time is None:
            raise DataError(f"cohort.targets.tasks.{name}: give a label, or a time and an event.")
        return derived
    label = _zero_one(source, columns.columns, task.label)
    label = np.where(label == -1, derived, label).astype(np.int8)  # unknown: times and events decide
    _check_agreement(source, name, task, label, derived, event)
    return label


def _check_agreement(
    source: str, name: str, task: TaskTable, label: np.ndarray, derived: np.ndarray, event: np.ndarray
) -> None:
    both = (label >= 0) & (derived >= 0)
    flipped = int((both & (label != derived)).sum())
    timed = task.time is not None
    early = int(((label == 0) & (derived == -1)).sum()) if timed else 0
    unseen = int(((label == 1) & (derived == -1) & (event == 0)).sum())
    if flipped or early or unseen:
        raise DataError(
            f"{source}: {task.label} disagrees with {task.time} and {task.event} at "
            f"{task.horizon_days:g} days: {flipped} labels say the opposite, {early} patients "
            f"censored before the horizon are labelled event-free (they are unknown, -1), {unseen} with "
            "the event. "
            f"Correct the file, or remove cohort.targets.tasks.{name}.label to derive labels."
        )


def _numbers(source: str, columns: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    try:
        return np.asarray(columns[name], dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        raise DataError(f"{source}: column {name} holds values that are not numbers.") from None


def _zero_one(source: str, columns: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    values = _numbers(source, columns, name)
    values = np.where(np.isnan(values), -1, values)
    invalid = ~np.isin(values, (-1, 0, 1))
    if invalid.any():
        raise DataError(
            f"{source}: column {name} holds {int(invalid.sum())} values that are not 1 (event), "
            f"0 (no event) or -1 (unknown), the first in row {int(invalid.argmax())}."
        )
    return values.astype(np.int8)
