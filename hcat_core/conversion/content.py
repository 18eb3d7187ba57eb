"""A cohort's content as rows and columns, which every layout can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.data.schema import TargetsTable, TaskTable
from hcat_core.runs.outcomes_in_words import known_outcomes


@dataclass(frozen=True)
class ModalityRows:
    """One modality, with one row for each of R of the cohort's patients.

    Attributes:
        name: the modality's name.
        patients: (R,) row numbers in the cohort, ascending.
        values: (R, d) float32, NaN where not measured.
        quality: (R,) float32.
        n_rows: (R,) int32, from how many rows of the original file each row was aggregated; 0 for none.
        features: d names, made from the modality's name where its file had none.
        named: whether the file had names.
    """

    name: str
    patients: np.ndarray
    values: np.ndarray
    quality: np.ndarray
    n_rows: np.ndarray
    features: tuple[str, ...]
    named: bool


@dataclass(frozen=True)
class Content:
    """A cohort as it is written.

    Attributes:
        ids: (N,) as the files spell them.
        modalities: in the order of the recipe.
        outcomes: (N,) columns of outcomes, groups and split by name.
    """

    ids: np.ndarray
    modalities: tuple[ModalityRows, ...]
    outcomes: Mapping[str, np.ndarray]


def content_of(cohort: Cohort, outcomes: Mapping[str, np.ndarray]) -> Content:
    """Everything that must be the same after the new files are read."""
    rows = _listed(cohort)
    return Content(
        ids=np.array(cohort.ids_as_written(), dtype=object),
        modalities=tuple(_rows(cohort, column, rows[:, column]) for column in range(rows.shape[1])),
        outcomes=outcomes,
    )


def outcome_columns(cohort: Cohort, table: TargetsTable) -> dict[str, np.ndarray]:
    """The outcome columns of the recipe's tasks, under the names that ``converted_tasks`` has for them.

    Times are in days, events and labels 1, 0 and -1; classes and numbers are as they were. A competing
    event is not written as one: it is seen again when its task is read.
    """
    assert cohort.targets is not None
    columns: dict[str, np.ndarray] = {}
    own_event = torch.where(cohort.targets.event == 2, 0, cohort.targets.event)
    # A task without a competing one comes last: its columns are as they were where another shares them.
    converted, words = converted_tasks(table), known_outcomes(cohort)
    for outcome in cohort.layout.outcomes:
        task = converted[outcome.name]
        if outcome.kind == "class":
            columns[str(task.label)] = np.array(words[outcome.name], dtype=object)
        elif outcome.kind == "continuous" and cohort.targets.values is not None:
            columns[str(task.value)] = cohort.targets.values[:, outcome.columns[0]].numpy()
    events = [outcome for outcome in cohort.layout.outcomes if outcome.kind == "event"]
    for outcome in sorted(events, key=lambda one: converted[one.name].competing is None):
        task, (place,) = converted[outcome.name], outcome.columns
        for name, values in (
            (task.label, cohort.targets.labels),
            (task.time, cohort.targets.time),
            (task.event, own_event),
            (task.censored, torch.where(own_event < 0, own_event, 1 - own_event)),
        ):
            if name is not None:
                columns[name] = values[:, place].numpy()
    return columns


def converted_tasks(table: TargetsTable) -> dict[str, TaskTable]:
    """The tasks of a converted file, whose times are in days and whose events are 1, 0 and -1.

    A column in which values mean an event becomes a column of that event, named after the first task that
    reads it so: tasks of one event keep one column.
    """
    named: dict[str, str] = {}
    tasks = {}
    for name, task in table.tasks.items():
        changes: dict[str, object] = {} if task.time is None else {"time_unit": "days"}
        if task.last_contact is not None:
            joined = named.setdefault(f"time {task.time} {task.last_contact} {task.status}", f"{name}_time")
            changes |= {"time": joined, "last_contact": None}
        if task.label_values is not None:
            coded = named.setdefault(f"label {task.label} {task.label_values!r}", f"{name}_label")
            changes |= {"label": coded, "label_values": None}
        if task.event_values is not None:
            coded = named.setdefault(f"event {task.event} {task.event_values!r}", f"{name}_event")
            changes |= {"event": coded, "event_values": None}
        tasks[name] = task.model_copy(update=changes)
    return tasks


def _listed(cohort: Cohort) -> np.ndarray:
    """(N, M) bool: which patients get a row in the file of which modality.

    Patients with rows do. A cohort has the order in which its files name the patients; where this rule
    would change the order (rows without weight, patients in no file), an earlier modality gets an empty
    row.
    """
    listed = np.asarray(cohort.n_rows.numpy() > 0)
    modalities = listed.shape[1]
    first = np.where(listed.any(axis=1), listed.argmax(axis=1), modalities)
    latest = np.minimum.accumulate(first[::-1])[::-1]  # no later patient is named in an earlier file
    if cohort.targets is None:
        latest = np.minimum(latest, modalities - 1)  # nor in a file of outcomes
    moved = np.flatnonzero(latest < first)
    listed[moved, latest[moved]] = True
    listed[0] |= ~listed.any(axis=0)  # a file needs at least one row
    return listed


def _rows(cohort: Cohort, column: int, listed: np.ndarray) -> ModalityRows:
    modality = cohort.layout.modalities[column]
    patients = np.flatnonzero(listed)
    cells = cohort.emb[patients, column, : modality.width].numpy()
    measured = cohort.measured[patients, column, : modality.width].numpy()
    generated = tuple(f"{modality.name}_{place}" for place in range(modality.width))
    return ModalityRows(
        name=modality.name,
        patients=patients,
        values=np.where(measured, cells, np.float32(np.nan)),
        quality=cohort.quality[patients, column].numpy(),
        n_rows=cohort.n_rows[patients, column].numpy(),
        features=modality.features or generated,
        named=bool(modality.features),
    )
