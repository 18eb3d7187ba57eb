"""Leakage: refuse features that reveal the outcome, by their names and by what each one predicts alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.data.follow_up_names import is_follow_up
from hcat_core.data.schema import TargetsTable
from hcat_core.errors import DataError

MOST_AUC = 0.95
MOST_CORRELATED = 0.95  # rank correlation with a number, either way
FEWEST = 10  # patients of either outcome; with fewer, a feature may reach that AUC by chance


@dataclass(frozen=True)
class Leak:
    """A suspicious feature: ``reason`` is a clause for the message, ``auc`` the AUC if that is why.

    Of a number it is the share of pairs in the right order that a rank correlation stands for.
    """

    modality: str
    feature: str
    reason: str
    auc: float | None = None


@dataclass(frozen=True)
class LeakCheck:
    """How much of a cohort the check for leaks could look at: what it did not find, it may not have seen.

    Attributes:
        features: number of features of all modalities.
        allowed: number of them that the recipe allows, which are not checked.
        named: number of the others that have a name to check.
        alone: by task, how many of the others were checked for predicting it alone: at least ``FEWEST``
            training patients of either outcome have a value, of a number twice as many patients.
        gaps: tasks for which it was checked whether being measured or not predicts them.
    """

    features: int
    allowed: int
    named: int
    alone: Mapping[str, int]
    gaps: Sequence[str]


def leak_check(cohort: Cohort, train: Tensor, allow: Collection[str] = ()) -> LeakCheck:
    """Count the features that ``find_leaks`` can check, for the same arguments."""
    patients = cohort[train]
    features = allowed = named = 0
    alone = dict.fromkeys(cohort.layout.task_names, 0)
    for column, modality in enumerate(cohort.layout.modalities):
        checked = np.array([modality.feature(place) not in allow for place in range(modality.width)])
        features += modality.width
        allowed += int((~checked).sum())
        named += int(checked.sum()) if modality.features else 0
        measured = patients.measured[:, column, : modality.width].numpy()
        for task, (events, free) in _outcomes(patients).items():
            enough = np.minimum(measured[events].sum(axis=0), measured[free].sum(axis=0)) >= FEWEST
            alone[task] += int((enough & checked).sum())
        for task, known in _numbers(patients).items():
            alone[task] += int(((measured[np.isfinite(known)].sum(axis=0) >= 2 * FEWEST) & checked).sum())
    both = {task: min(events.sum(), free.sum()) for task, (events, free) in _outcomes(patients).items()}
    return LeakCheck(features, allowed, named, alone, tuple(t for t, n in both.items() if n >= FEWEST))


def _outcomes(patients: Cohort) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By task, which of N patients have the event, and which are event-free: (N,) bool each."""
    if patients.targets is None:
        return {}
    labels = patients.targets.labels.numpy()
    return {task: (y == 1, y == 0) for task, y in zip(patients.layout.task_names, labels.T, strict=True)}


def _numbers(patients: Cohort) -> dict[str, np.ndarray]:
    """By task that is a number, its (N,) values; NaN where unknown."""
    targets, names = patients.targets, patients.layout.task_names
    if targets is None or targets.values is None:
        return {}
    return {names[column]: targets.values[:, column].numpy() for column in patients.layout.numbers}


def find_leaks(
    cohort: Cohort, train: Tensor, targets: TargetsTable | None, allow: Collection[str] = ()
) -> list[Leak]:
    """Find features named like follow-up data, and those that alone predict an outcome in training.

    The predictor may be a feature's value, whether it was measured, or whether its modality was.

    Args:
        cohort: all patients.
        train: row numbers of the training patients; no others are used.
        targets: the recipe's outcome columns, which may not be features.
        allow: names of features that are not checked.
    """
    outcome_columns = set()
    for task in targets.tasks.values() if targets is not None else ():
        outcome_columns |= set(task.columns)
    leaks = []
    for column, modality in enumerate(cohort.layout.modalities):
        for place in range(modality.width):
            name = modality.feature(place)
            if name in allow:
                continue
            names = _columns(name)
            if modality.features and not outcome_columns.isdisjoint(names):
                leaks.append(Leak(modality.name, name, "is an outcome column of cohort.targets"))
            elif modality.features and any(map(is_follow_up, names)):
                leaks.append(Leak(modality.name, name, "has the name of a follow-up column"))
        for gap, auc, task_name in _predictive_gaps(cohort[train], column):
            name = modality.name if gap is None else modality.feature(gap)
            if name not in allow:
                by = "by being measured or not"
                reason = f"predicts {task_name} {by}, with AUC {auc:.3f} on training patients"
                leaks.append(Leak(modality.name, name, reason, auc))
        listed = {leak.feature for leak in leaks if leak.modality == modality.name}
        for place, (auc, task_name) in _single_feature_aucs(cohort[train], column).items():
            name = modality.feature(place)
            if name not in listed and name not in allow:
                reason = f"alone predicts {task_name} with AUC {auc:.3f} on training patients"
                leaks.append(Leak(modality.name, name, reason, auc))
        leaks += [
            Leak(
                modality.name,
                modality.feature(place),
                f"alone predicts {task_name} with a rank correlation of {rho:+.3f} on training patients",
                0.5 + abs(rho) / 2,
            )
            for place, (rho, task_name) in _correlations(cohort[train], column).items()
            if modality.feature(place) not in {*listed, *allow}
        ]
    return leaks


def refuse_leaks(
    cohort: Cohort, train: Tensor, targets: TargetsTable | None, allow: Collection[str] = ()
) -> None:
    """Stop if a feature reveals the outcome.

    Raises:
        DataError: with all such features, and how to continue.
    """
    leaks = find_leaks(cohort, train, targets, allow)
    if leaks:
        raise DataError(describe_leaks(leaks))


def describe_leaks(leaks: Sequence[Leak]) -> str:
    """The message of a run that stops at leaks: the features, and how to continue."""
    lines = [f"  {leak.modality}: {leak.feature} {leak.reason}" for leak in leaks[:20]]
    if len(leaks) > 20:
        lines.append(f"  and {len(leaks) - 20} more")
    names = ", ".join(f'"{leak.feature}"' for leak in leaks[:3])
    return (
        "features that reveal the outcome:\n"
        + "\n".join(lines)
        + "\nRemove them from the file. Allow those that are known before the outcome: "
        + f"cohort.allow = [{names}]"
    )


def _columns(name: str) -> list[str]:
    """The feature's name, and that of the column that it encodes a value of (``vital_status=dead``)."""
    return [name, *(name[:place] for place, character in enumerate(name) if character == "=")]


def _predictive_gaps(train: Cohort, column: int) -> list[tuple[int | None, float, str]]:
    """Find where presence of the modality (None) or a feature predicts a task: AUC above ``MOST_AUC``."""
    if train.targets is None:
        return []
    found = []
    width = train.layout.widths[column]
    has = torch.cat([train.present[:, column, None], train.measured[:, column, :width]], dim=1).numpy()
    for task, name in enumerate(train.layout.task_names):
        label = train.targets.labels[:, task].numpy()
        events, free = label == 1, label == 0
        if min(events.sum(), free.sum()) < FEWEST:
            continue
        # AUC of a binary predictor: tied pairs count half.
        auc = 0.5 + (has[events].mean(axis=0) - has[free].mean(axis=0)) / 2
        auc = np.maximum(auc, 1 - auc)
        places = np.flatnonzero(auc > MOST_AUC)
        if 0 in places:  # its features are missing with the modality: one finding is enough
            places = places[:1]
        found += [(None if place == 0 else int(place) - 1, float(auc[place]), name) for place in places]
    return found


def _single_feature_aucs(train: Cohort, column: int) -> dict[int, tuple[float, str]]:
    """Features of one modality with an AUC, in either direction, above ``MOST_AUC``: AUC and task."""
    if train.targets is None:
        return {}
    found: dict[int, tuple[float, str]] = {}
    width = train.layout.widths[column]
    values = train.emb[:, column, :width].numpy()
    measured = train.measured[:, column, :width].numpy()
    for task, name in enumerate(train.layout.task_names):
        label = train.targets.labels[:, task].numpy()
        rows = (label >= 0) & measured.any(axis=1)
        x, y, has = values[rows], label[rows] == 1, measured[rows]
        # Patients without the value rank above all others, whose ranks are then as if they were left out.
        ranks = rankdata(np.where(has, x, np.inf), axis=0) if len(x) else x
        events, free = (has & y[:, None]).sum(axis=0), (has & ~y[:, None]).sum(axis=0)
        won = (ranks * (has & y[:, None])).sum(axis=0) - events * (events + 1) / 2
        auc = won / np.maximum(events * free, 1)
        auc = np.maximum(auc, 1 - auc)
        for place in np.flatnonzero((auc > MOST_AUC) & (events >= FEWEST) & (free >= FEWEST)):
            if auc[place] > found.get(int(place), (0.0, ""))[0]:
                found[int(place)] = (float(auc[place]), name)
    return found


def _correlations(train: Cohort, column: int) -> dict[int, tuple[float, str]]:
    """Features of one modality that rank patients almost as a number does: rank correlation and task."""
    found: dict[int, tuple[float, str]] = {}
    width = train.layout.widths[column]
    for name, values in _numbers(train).items():
        measured = train.measured[:, column, :width].numpy()
        rows = np.isfinite(values) & measured.any(axis=1)
        if rows.sum() < 2 * FEWEST:
            continue
        x = np.where(measured[rows], train.emb[rows, column, :width].numpy(), np.nan)
        has, rank_x = np.isfinite(x), rankdata(x, axis=0, nan_policy="omit")
        rank_y = np.where(has, rankdata(values[rows])[:, None], np.nan)
        number = has.sum(axis=0)
        some = np.flatnonzero(number >= 2 * FEWEST)
        a, b = (ranks[:, some] - np.nanmean(ranks[:, some], axis=0) for ranks in (rank_x, rank_y))
        spread = np.sqrt(np.nansum(a**2, axis=0) * np.nansum(b**2, axis=0))
        rho = np.divide(np.nansum(a * b, axis=0), spread, out=np.zeros(len(some)), where=spread > 0)
        for place in np.flatnonzero(np.abs(rho) > MOST_CORRELATED):
            if abs(rho[place]) > abs(found.get(int(some[place]), (0.0, ""))[0]):
                found[int(some[place])] = (float(rho[place]), name)
    return found
