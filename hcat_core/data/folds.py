"""Folds for cross-validation: stratified, groups kept together, reproducible by seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.data.splits import merge_rare, outcome_strata, strata, strata_of
from hcat_core.errors import DataError


@dataclass(frozen=True)
class Fold:
    """One fold: row numbers to train on (``rest``) and to score (``test``), and the outcomes to score."""

    repeat: int
    number: int
    rest: Tensor
    test: Tensor
    tasks: tuple[str, ...]


def joint_folds(cohort: Cohort, n_folds: int, repeats: int, seed: int) -> list[Fold]:
    """Make one set of folds for all tasks: each patient with a modality is tested once in each repeat.

    Folds are stratified by the combination of all tasks' labels, and keep groups together.

    Raises:
        DataError: for fewer patients (or groups) than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    rows = cohort.present.any(dim=1).nonzero().squeeze(1).numpy()
    by = merge_rare(strata(cohort)[rows], n_folds)
    groups = None if cohort.groups is None else np.array(cohort.groups)[rows]
    units = len(rows) if groups is None else len(np.unique(groups))
    if units < n_folds:
        what = "patients" if groups is None else "groups (cohort.groups)"
        raise DataError(f"{units} {what} are too few for {n_folds} folds.")
    folds = []
    for repeat in range(repeats):
        if groups is None:
            splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed + repeat)
        else:
            splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed + repeat)
        for number, (rest, test) in enumerate(splitter.split(rows, by, groups)):
            folds.append(
                Fold(
                    repeat,
                    number,
                    torch.from_numpy(rows[rest]),
                    torch.from_numpy(rows[test]),
                    tuple(outcome.name for outcome in cohort.layout.outcomes),
                )
            )
    return folds


def at_most(n_folds: int, cohort: Cohort) -> int:
    """The number of folds, limited to that of patients with a modality, or of groups; at least two."""
    has = cohort.present.any(dim=1)
    units = int(has.sum()) if cohort.groups is None else len(set(cohort[has].groups or ()))
    return max(2, min(n_folds, units))


def per_task_folds(cohort: Cohort, n_folds: int, repeats: int, seed: int) -> list[Fold]:
    """Make folds for each outcome from the patients in whom it is known, in file order.

    They are those of scikit-learn's ``RepeatedStratifiedKFold``; patients with an unknown label are always
    in the training part.

    Raises:
        DataError: for an event or a class with fewer patients than folds, or a cohort with groups.
    """
    from sklearn.model_selection import RepeatedStratifiedKFold

    if cohort.groups is not None:
        raise DataError(
            "--split per-task cannot keep groups together: remove cohort.groups, or use --split joint."
        )
    assert cohort.targets is not None
    usable = cohort.present.any(dim=1).numpy()
    folds = []
    for outcome in cohort.layout.outcomes:
        by = outcome_strata(cohort.targets, outcome)
        known = np.flatnonzero((by > 0) & usable)
        counts = np.bincount(by[known], minlength=1 + strata_of(outcome))[1:]
        if len(known) < n_folds or (outcome.kind != "continuous" and min(counts) < n_folds):
            raise DataError(f"task {outcome.name}: too few patients of an outcome for {n_folds} folds.")
        splitter = RepeatedStratifiedKFold(n_splits=n_folds, n_repeats=repeats, random_state=seed)
        for place, (_, test) in enumerate(splitter.split(known, by[known])):
            rest = np.setdiff1d(np.flatnonzero(usable), known[test])
            folds.append(
                Fold(
                    place // n_folds,
                    place % n_folds,
                    torch.from_numpy(rest),
                    torch.from_numpy(known[test]),
                    (outcome.name,),
                )
            )
    return folds
