"""Outcomes: labels at a horizon, derived from times and events or checked against them.

Where a task has a competing one, its labels are those of the cumulative incidence: a patient with the
competing event first is event-free from then on, and is not censored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch

from hcat_core.cohort import Targets, Task
from hcat_core.data.columns import PatientColumns, read_patient_columns
from hcat_core.data.event_coding import coded_events
from hcat_core.data.event_times import strange_times, times_in_days
from hcat_core.data.schema import TargetsTable, TaskTable
from hcat_core.errors import DataError
from hcat_core.reading import Reader

T = TypeVar("T")


@dataclass(frozen=True)
class Outcomes:
    """The targets of the N patients of one file, and what was found beside them.

    Attributes:
        ids: N normalised ids.
        targets: of these patients.
        findings: of the reader, and about times and horizons.
        written: the spelling in the file of ids that normalisation changed.
    """

    ids: tuple[str, ...]
    targets: Targets
    findings: tuple[str, ...] = ()
    written: Mapping[str, str] = field(default_factory=dict)


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
        DataError: with all faults of the columns: one that is missing, values that mean neither event nor
            no event, times that are none, labels that disagree with their time and event, or rows of one
            patient that contradict each other.
    """
    wanted = [column for task in table.tasks.values() for column in task.columns]
    columns = read_patient_columns(reader, list(dict.fromkeys(wanted)), table.missing)
    source, tasks = reader.source, table.tasks
    with _faults_together() as try_each:
        own = try_each(tasks, lambda name: _read_times(columns, name, table))
        coded = try_each(tasks, lambda name: _read_label(columns, name, tasks[name]))
    read = {
        name: own[name]
        if task.competing is None
        else with_competing_events(*own[name], *own[task.competing])
        for name, task in tasks.items()
    }
    with _faults_together() as try_each:
        labels = try_each(tasks, lambda name: _label(source, name, tasks[name], coded[name], *read[name]))
    targets = Targets(
        labels=torch.from_numpy(np.stack([labels[name] for name in tasks], axis=1)),
        time=torch.from_numpy(np.stack([read[name][0] for name in tasks], axis=1)),
        event=torch.from_numpy(np.stack([read[name][1] for name in tasks], axis=1)),
    )
    strange = [
        text
        for name, task in tasks.items()
        for text in strange_times(source, name, task, table, *read[name])
    ]
    findings = (*columns.findings, *strange)
    made = tuple(_task(name, task) for name, task in tasks.items())
    return made, Outcomes(columns.ids, targets, findings, columns.written)


@contextmanager
def _faults_together() -> Iterator[Callable[[Iterable[str], Callable[[str], T]], dict[str, T]]]:
    """A function that reads something of each task, by name; what is wrong is reported together at the end.

    Raises:
        DataError: with all faults.
    """
    faults: list[str] = []

    def try_each(tasks: Iterable[str], read: Callable[[str], T]) -> dict[str, T]:
        values: dict[str, T] = {}
        for name in tasks:
            try:
                values[name] = read(name)
            except DataError as error:
                faults.append(str(error))
        return values

    yield try_each
    if faults:
        raise DataError("\n".join(dict.fromkeys(faults)))


def _task(name: str, task: TaskTable) -> Task:
    horizon = None if task.horizon_days is None else _as_stored(task.horizon_days)
    return Task(name, horizon, task.outcome or name, task.competing, _times(task))


def _as_stored(days: float) -> float:
    """Days as a time of ``Targets`` holds them, so that an event on the day of the horizon is on time."""
    return float(np.float32(days))


def _times(task: TaskTable) -> tuple[str, str] | None:
    """Columns of time and event; one column of events may hold several, each by values of its own."""
    if task.time is None or task.status is None:
        return None
    of_event = "" if task.event_values is None else f" = {', '.join(map(str, task.event_values.event))}"
    of_time = "" if task.last_contact is None else f" or {task.last_contact}"
    return (f"{task.time}{of_time}", f"{task.status}{of_event}")


def _read_times(columns: PatientColumns, name: str, table: TargetsTable) -> tuple[np.ndarray, np.ndarray]:
    """Times and events of one task; NaN and -1 where it has labels alone."""
    task, key = table.tasks[name], f"cohort.targets.tasks.{name}"
    n = len(columns.ids)
    if task.time is None and task.status is None:
        return np.full(n, np.nan, np.float32), np.full(n, -1, np.int8)
    if task.time is None or task.status is None:
        raise DataError(f"{key}: time and event (or censored) belong together; only one is given.")
    if task.horizon_days is None:
        raise DataError(f"{key}: times need a horizon_days, until when the event counts.")
    faults: list[str] = []
    time = event = np.zeros(0)
    last = None
    try:
        time = times_in_days(columns.columns[task.time], table.unit(task))
    except DataError as error:
        faults.append(str(error))
    try:
        if task.last_contact is not None:
            last = times_in_days(columns.columns[task.last_contact], table.unit(task))
    except DataError as error:
        faults.append(str(error))
    try:
        event = coded_events(columns.columns[task.status], task.event_values, f"{key}.event_values")
    except DataError as error:
        faults.append(str(error))
    if faults:
        raise DataError("\n".join(faults))
    if task.censored is not None:
        event = np.where(event < 0, event, 1 - event).astype(np.int8)
    if last is not None:
        time = np.where((event == 0) & np.isfinite(last), last, time)
    return time, event


def _read_label(columns: PatientColumns, name: str, task: TaskTable) -> np.ndarray:
    """(N,) labels in the column of one task; -1 where it has times alone."""
    key = f"cohort.targets.tasks.{name}"
    if task.label is None and task.time is None:
        raise DataError(f"{key}: give a label, or a time and an event.")
    if task.label is None:
        return np.full(len(columns.ids), -1, np.int8)
    return coded_events(columns.columns[task.label], task.label_values, f"{key}.label_values")


def _label(
    source: str, name: str, task: TaskTable, coded: np.ndarray, time: np.ndarray, event: np.ndarray
) -> np.ndarray:
    """Labels of one task: its column, checked against what times and events say, or those alone."""
    if task.horizon_days is None:
        return coded
    derived = derive_labels(time, event, _as_stored(task.horizon_days))
    label = np.where(coded == -1, derived, coded).astype(np.int8)  # unknown: times and events decide
    if task.label is not None:
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
            f"{source}: {task.label} disagrees with {task.time} and {task.status} at "
            f"{task.horizon_days:g} days: {flipped} labels say the opposite, {early} patients "
            f"censored before the horizon are labelled event-free (they are unknown, -1), {unseen} with "
            "the event. "
            f"Correct the file, or remove cohort.targets.tasks.{name}.label to derive labels."
        )
