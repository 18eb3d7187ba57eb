"""Outcomes: labels at a horizon, derived from times and events or checked against them; classes; numbers.

Where a task has a competing one, its labels are those of the cumulative incidence: a patient with the
competing event first is event-free from then on, and is not censored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Targets
from hcat_core.data.class_outcomes import read_classes
from hcat_core.data.columns import PatientColumns, read_patient_columns
from hcat_core.data.event_coding import coded_events
from hcat_core.data.event_times import strange_times, times_in_days
from hcat_core.data.group_names import refuse_two_spellings
from hcat_core.data.number_outcomes import read_numbers
from hcat_core.data.outcome_tasks import as_stored, tasks_of
from hcat_core.data.schema import TargetsTable, TaskTable
from hcat_core.errors import DataError
from hcat_core.layout import Task
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
    of_events, findings = _read_events(reader.source, columns, table)
    with _faults_together() as try_each:
        others = try_each(
            (name for name, task in table.tasks.items() if task.kind != "event"),
            lambda name: _read_other(reader, columns, name, table),
        )
    parts = [of_events.get(name) or others[name] for name in table.tasks]
    tasks = tuple(task for part in parts for task in part.tasks)
    _refuse_equal_outputs(tasks)
    has_values = any(part.targets.values is not None for part in parts)
    targets = Targets(
        torch.cat([part.targets.labels for part in parts], dim=1),
        torch.cat([part.targets.time for part in parts], dim=1),
        torch.cat([part.targets.event for part in parts], dim=1),
        torch.cat([_values(part.targets) for part in parts], dim=1) if has_values else None,
    )
    return tasks, Outcomes(columns.ids, targets, (*columns.findings, *findings), columns.written)


@dataclass(frozen=True)
class _OneOutcome:
    """One outcome of N patients: its tasks, and their targets, a column for each."""

    tasks: tuple[Task, ...]
    targets: Targets


def _read_events(
    source: str, columns: PatientColumns, table: TargetsTable
) -> tuple[dict[str, _OneOutcome], list[str]]:
    """The events among the outcomes by name, and findings about their times."""
    tasks = {name: task for name, task in table.tasks.items() if task.kind == "event"}
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
    strange = [
        text
        for name, task in tasks.items()
        for text in strange_times(source, name, task, table, *read[name])
    ]
    made = {
        name: _OneOutcome(
            tasks_of(name, task),
            Targets(*(torch.from_numpy(each)[:, None] for each in (labels[name], *read[name]))),
        )
        for name, task in tasks.items()
    }
    return made, strange


def _read_other(reader: Reader, columns: PatientColumns, name: str, table: TargetsTable) -> _OneOutcome:
    """An outcome of classes, or of numbers, neither of which has a time."""
    task, n, values = table.tasks[name], len(columns.ids), None
    if task.kind == "multiclass":
        if task.classes is None:
            refuse_two_spellings(reader, str(task.label), table.missing)
        classes = read_classes(columns.columns[str(task.label)], name, task)
        tasks, labels = tasks_of(name, task, classes.categories), torch.from_numpy(classes.labels)
    else:
        tasks, labels = tasks_of(name, task), torch.full((n, 1), -1, dtype=torch.int8)
        numbers = read_numbers(columns.columns[str(task.value)], name, task)
        values = torch.from_numpy(numbers)[:, None]
    shape = (n, len(tasks))
    unknown = torch.full(shape, float("nan")), torch.full(shape, -1, dtype=torch.int8)
    return _OneOutcome(tasks, Targets(labels, *unknown, values))


def _values(targets: Targets) -> Tensor:
    """(N, T) values; NaN where there are none."""
    return torch.full_like(targets.time, float("nan")) if targets.values is None else targets.values


def _refuse_equal_outputs(tasks: Sequence[Task]) -> None:
    """Refuse two tasks whose predictions would be columns of one name, which classes may bring about.

    Raises:
        DataError: with both.
    """
    names: dict[str, str] = {}
    for task in tasks:
        other = names.setdefault(task.output_name.lower(), task.name)
        if other != task.name:
            raise DataError(
                f"the predictions of {other} and {task.name} would both be called {task.output_name}: give "
                "one of the outcomes another name, cohort.targets.tasks.NAME.outcome."
            )


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
    derived = derive_labels(time, event, as_stored(task.horizon_days))
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
