"""Split patients into training, validation and test: stratified, groups kept together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Cohort, Targets
from hcat_core.data.columns import column_by_patient, line_of, read_patient_columns
from hcat_core.data.event_times import horizon_beyond
from hcat_core.data.schema import SplitTable
from hcat_core.errors import DataError
from hcat_core.layout import Outcome, Task
from hcat_core.reading import Reader
from hcat_core.text.counted import counted
from hcat_core.text.file_rows import named_row
from hcat_core.text.quoting import shown

SPLITS = ("train", "validation", "test")
FEWEST_OF_A_CLASS = 3  # training patients, with which the class can be told from others at all
FEWEST_VALUES = 3  # different ones of a number; with two, it is an event


@dataclass(frozen=True)
class Split:
    """Row numbers of each part; ``left_out`` are patients without any modality."""

    train: Tensor
    validation: Tensor
    test: Tensor
    left_out: Tensor

    @property
    def parts(self) -> dict[str, Tensor]:
        """Row numbers by the name of each part, in the order of ``SPLITS``."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def names(self, n: int) -> list[str]:
        """The name of the part that each of ``n`` rows is in."""
        side = np.full(n, "left out", dtype=object)
        for name, rows in self.parts.items():
            side[rows.numpy()] = name
        return list(side)


def strata(cohort: Cohort) -> np.ndarray:
    """(N,) a number for each combination of all outcomes, unknown included.

    Numbers count by the quarter of the patients that they are in.
    """
    if cohort.targets is None:
        return np.zeros(len(cohort), np.int64)
    codes = [outcome_strata(cohort.targets, outcome) for outcome in cohort.layout.outcomes]
    # Sorted by the last outcome first.
    return np.asarray(np.unique(np.stack(codes[::-1], axis=1), axis=0, return_inverse=True)[1].reshape(-1))


def outcome_strata(targets: Targets, outcome: Outcome) -> np.ndarray:
    """(N,) the class, or the event, or the quarter of the patients, of one outcome; 0 where unknown.

    The others are numbered from 1; there are ``strata_of(outcome)``.
    """
    labels = targets.labels[:, list(outcome.columns)].numpy().astype(np.int64)
    if outcome.kind == "event":
        return np.asarray(labels[:, 0] + 1)
    if outcome.kind == "class":
        return np.where((labels == 1).any(axis=1), labels.argmax(axis=1) + 1, 0)
    assert targets.values is not None
    values = targets.values[:, outcome.columns[0]].double().numpy()
    known = np.isfinite(values)
    ends = np.quantile(values[known], [0.25, 0.5, 0.75]) if known.any() else np.zeros(3)
    return np.where(known, np.searchsorted(ends, values) + 1, 0)


def strata_of(outcome: Outcome) -> int:
    """Number of the strata of an outcome: two of an event, the classes, or the quarters of a number."""
    return {"event": 2, "class": len(outcome.columns), "continuous": 4}[outcome.kind]


def split_cohort(cohort: Cohort, table: SplitTable, seed: int) -> Split:
    """Split a cohort, stratified by all tasks at once, with groups kept together; reproducible by seed.

    Raises:
        DataError: when the training patients lack one of the outcomes that they need.
    """
    rows = cohort.present.any(dim=1).nonzero().squeeze(1).numpy()
    left_out = (~cohort.present.any(dim=1)).nonzero().squeeze(1)
    groups = np.arange(len(cohort)) if cohort.groups is None else np.array(cohort.groups)
    by = strata(cohort)
    rest, test = hold_out(rows, by, groups, table.test, seed)
    share = table.validation / (1 - table.test)
    train, validation = hold_out(rest, by, groups, share, seed + 1)
    split = Split(torch.from_numpy(train), torch.from_numpy(validation), torch.from_numpy(test), left_out)
    _refuse_one_sided(cohort, split)
    return split


def split_by_column(
    cohort: Cohort, reader: Reader, column: str, missing: Sequence[str | float] = ()
) -> Split:
    """Split a cohort as a column of the targets file says.

    Args:
        cohort: N patients.
        reader: of the targets file.
        column: its name.
        missing: what stands for an empty cell in it.

    Raises:
        DataError: for another value than train, validation and test, a patient without one, a group in two
            parts, or training patients with only one outcome of a task.
    """
    values = column_by_patient(reader, column, cohort.patient_ids, missing)
    sides = np.array([_side(value) for value in values], dtype=object)
    has = cohort.present.any(dim=1)
    where = f"{reader.source}: {column}"
    odd = np.flatnonzero(has.numpy() & ~np.isin(sides, SPLITS))
    if len(odd):
        unknown = Counter(sides[odd].tolist())
        frequent = unknown.most_common(5)
        found = ", ".join(f"{shown(side) if side else 'no value'} ({count})" for side, count in frequent)
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        first = _place(reader, column, cohort.patient_ids[odd[0]], missing)
        raise DataError(
            f"{where}: {counted(len(odd), 'patient has', 'patients have')} none of "
            f"{', '.join(SPLITS)}: {found}{more}, the first of them {first}. Write one of these "
            "for each patient."
        )
    rows = {name: np.flatnonzero((sides == name) & has.numpy()) for name in SPLITS}
    if not len(rows["train"]):
        raise DataError(f"{where}: no patient is in train.")
    if cohort.groups is not None:
        groups = np.array(cohort.groups)
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
            both = set(groups[rows[first]]) & set(groups[rows[second]])
            if both:
                raise DataError(
                    f"{where}: {counted(len(both), 'group is', 'groups are')} in both {first} and {second}."
                )
    train, validation, test = (torch.from_numpy(rows[name]) for name in SPLITS)
    split = Split(train, validation, test, (~has).nonzero().squeeze(1))
    _refuse_one_sided(cohort, split)
    return split


def _place(reader: Reader, column: str, patient: str, missing: Sequence[str | float]) -> str:
    """Where a patient is in a file, for a message."""
    table = read_patient_columns(reader, [column], missing)
    if patient not in table.ids:
        return "not in the file"
    row = table.columns[column].rows[table.ids.index(patient)]
    return f"in {named_row(int(row), line_of(reader))}"


def _side(value: object) -> str:
    text = "" if value is None else str(value).strip().lower()
    return {"training": "train", "val": "validation", "valid": "validation"}.get(text, text)


def hold_out_patients(cohort: Cohort, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Hold out about ``share`` of the patients, stratified, with groups kept together.

    Returns the row numbers of the rest, and of those held out: at least one group.
    """
    groups = np.arange(len(cohort)) if cohort.groups is None else np.array(cohort.groups)
    share = max(share, 1 / max(2, len(np.unique(groups))))
    rest, held_out = hold_out(np.arange(len(cohort)), strata(cohort), groups, share, seed)
    return torch.from_numpy(rest), torch.from_numpy(held_out)


def random_part(cohort: Cohort, number: int, seed: int) -> tuple[Tensor, Tensor]:
    """Row numbers of ``number`` random patients, and of the others; outcomes are not looked at.

    Groups are kept together: there may be a few patients more.
    """
    generator = torch.Generator().manual_seed(seed)
    if cohort.groups is None:
        order = torch.randperm(len(cohort), generator=generator)
        return order[:number], order[number:]
    names, group = np.unique(np.array(cohort.groups), return_inverse=True)
    place = torch.randperm(len(names), generator=generator)[torch.from_numpy(group)]
    patients_before = torch.bincount(place).cumsum(0) - torch.bincount(place)
    chosen = patients_before[place] < number
    return chosen.nonzero().squeeze(1), (~chosen).nonzero().squeeze(1)


def hold_out(
    rows: np.ndarray, by: np.ndarray, groups: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split ``rows`` into the rest and about ``share`` of them, stratified, with groups kept together.

    Raises:
        DataError: for too few groups.
    """
    if share == 0:
        return rows, rows[:0]
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = rows[order]
    if len(np.unique(groups[rows])) == len(rows):
        picked = _deal(by[shuffled], share)
    else:
        from sklearn.model_selection import StratifiedGroupKFold

        n_folds, n_groups = max(2, round(1 / share)), len(np.unique(groups[rows]))
        if n_groups < n_folds:
            raise DataError(
                f"cohort.groups: {n_groups} groups are too few to hold out {share:.0%} of the patients and "
                f"keep groups whole: {n_folds} are needed."
            )
        folds = StratifiedGroupKFold(n_splits=n_folds, shuffle=True, random_state=seed)
        common = merge_rare(by[shuffled], n_folds)
        _, picked_rows = next(folds.split(shuffled, common, groups[shuffled]))
        picked = np.isin(np.arange(len(shuffled)), picked_rows)
    return np.sort(shuffled[~picked]), np.sort(shuffled[picked])


def merge_rare(by: np.ndarray, n_folds: int) -> np.ndarray:
    """The strata, with those too small to be in every fold merged into the most frequent one."""
    values, counts = np.unique(by, return_counts=True)
    rare = values[counts < n_folds]
    return np.where(np.isin(by, rare), values[counts.argmax()], by)


def _deal(by: np.ndarray, share: float) -> np.ndarray:
    """Choose ``share`` of every stratum, (N,) bool; rounding is spread so that the total is right."""
    picked = np.zeros(len(by), bool)
    ordered = np.argsort(by, kind="stable")
    # Systematic sampling along the sorted strata gives each its share to within one patient.
    marks = np.floor((np.arange(len(by)) + 0.5) * share)
    picked[ordered] = np.diff(marks, prepend=0) > 0
    return picked


def _refuse_one_sided(cohort: Cohort, split: Split) -> None:
    if cohort.targets is None:
        return
    for outcome in cohort.layout.outcomes:
        if outcome.kind == "continuous":
            _refuse_constant(cohort.targets[split.train], outcome)
            continue
        for column in outcome.columns:
            task, labels = cohort.layout.tasks[column], cohort.targets.labels[split.train, column]
            events, free = int((labels == 1).sum()), int((labels == 0).sum())
            if task.kind == "class" and events < FEWEST_OF_A_CLASS:
                raise DataError(
                    f"{outcome.name}: the training split has {counted(events, 'patient')} of the class "
                    f"{shown(task.category)}; at least {FEWEST_OF_A_CLASS} are needed. Join it with "
                    "another class in the file, or leave these patients out: add the class to "
                    "cohort.targets.missing."
                )
            if task.kind == "event" and (events == 0 or free == 0):
                raise DataError(
                    f"task {task.name}: the training split has {counted(events, 'event')} and {free} "
                    f"event-free patients; both are needed. {_reason(cohort.targets, column, task)}"
                )


def _refuse_constant(train: Targets, outcome: Outcome) -> None:
    """Refuse a number of which the training patients have one or two different values only."""
    assert train.values is not None
    values = train.values[:, outcome.columns[0]]
    different = values[values.isfinite()].unique()
    if len(different) < FEWEST_VALUES:
        held = " and ".join(f"{value:g}" for value in different.tolist()) or "no known value"
        raise DataError(
            f"{outcome.name}: the training split has {held} alone: that is no number to predict. Is it the "
            'right column? A property that a patient has or not is an outcome of the kind "event", with '
            "its label."
        )


def _reason(targets: Targets, column: int, task: Task) -> str:
    """Why a task may have one outcome only: too short a follow-up, or the wrong column."""
    known = targets.time[:, column][targets.time[:, column].isfinite()]
    if task.times is not None and task.horizon_days is not None and len(known):
        ends_early = horizon_beyond(float(known.max()), task.horizon_days, task.times[0], None)
        if ends_early is not None:
            return f"{ends_early[0].upper()}{ends_early[1:]}"
    return "Is the label column the right one?"
