"""Resampling of patients, or of groups of records as wholes.

Records of one group (``cohort.groups``: the visits of a patient, the patients of a family) are not
independent, so that a group is drawn with all its records, or not at all (Field and Welsh 2007).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CELLS = 4_000_000  # of resamples x patients at once; bounds memory


def group_numbers(groups: Sequence[str] | None) -> np.ndarray | None:
    """(N,) number of each patient's group; None where every patient is a group of its own."""
    if groups is None:
        return None
    names, number = np.unique(np.asarray(groups), return_inverse=True)
    return None if len(names) == len(number) else number


def rarer_outcome(label: np.ndarray, groups: np.ndarray | None = None) -> int:
    """The number of patients with the rarer outcome; with groups, of groups that have such a patient.

    Args:
        label: (N,) 1, 0 or -1 where unknown.
        groups: (N,) numbers of groups, or None.
    """
    units = np.arange(len(label)) if groups is None else groups
    return min(len(np.unique(units[label == outcome])) for outcome in (0, 1))


def units_of_each(label: np.ndarray, groups: np.ndarray | None = None) -> dict[int, int]:
    """For each class that occurs, the number of its patients; with groups, of groups that have one.

    Args:
        label: (N,) numbers of classes; -1 where unknown.
        groups: (N,) numbers of groups, or None.
    """
    units = np.arange(len(label)) if groups is None else groups
    return {int(k): len(np.unique(units[label == k])) for k in np.unique(label[label >= 0])}


def shares_of_groups(known: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """(N,) weights under which the known records of each group count as one patient; 1 without groups.

    Args:
        known: (N,) bool.
        groups: (N,) numbers of groups, or None.
    """
    if groups is None:
        return np.ones(len(known))
    _, member = np.unique(groups, return_inverse=True)
    return np.asarray(1 / np.maximum(1, np.bincount(member, known)[member]))


def resampled_counts(
    rng: np.random.Generator, label: np.ndarray, groups: np.ndarray | None, resamples: int
) -> np.ndarray:
    """(resamples, N) how often each patient is drawn: within each outcome, or groups as wholes.

    Args:
        rng: of the draws.
        label: (N,) outcomes or numbers of classes.
        groups: (N,) numbers of groups, or None.
        resamples: how many.
    """
    if groups is not None:
        _, member = np.unique(groups, return_inverse=True)
        number = int(member.max()) + 1
        drawn = rng.multinomial(number, np.full(number, 1 / number), size=resamples)
        return np.asarray(drawn[:, member], dtype=float)
    counts = np.zeros((resamples, len(label)))
    for value in np.unique(label)[::-1]:
        rows = label == value
        number = int(rows.sum())
        counts[:, rows] = rng.multinomial(number, np.full(number, 1 / number), size=resamples)
    return counts


def sums_by_group(values: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """(..., G) sums of values (..., N) over the patients of each group; the values where there are none."""
    if groups is None:
        return values
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) > 0])
    return np.asarray(np.add.reduceat(values[..., order], starts, axis=-1))
