"""What ``n_patches`` of a file means: the weight of a slide, or the number of its rows."""

from __future__ import annotations

import numpy as np


def weights_within_slide(counts: np.ndarray, rows: int) -> np.ndarray:
    """(R,) weights of the rows of one slide or patient, from its ``n_patches``.

    One number for several rows is the weight of the slide, and its rows share it: where it is the number of
    rows, each weighs 1, so that patches are not counted twice. So it is where each row repeats that number.

    Args:
        counts: ``n_patches``: one number, or one per row.
        rows: how many rows there are.
    """
    if counts.size == 1:
        return np.full(rows, counts.reshape(-1)[0] / max(1, rows))
    if (counts == rows).all():
        return np.ones(rows)
    return counts


def count_rows(ids: np.ndarray, counts: np.ndarray) -> bool:
    """Whether ``n_patches`` of a file with one row per patch repeats how many rows a slide has.

    So it is if each number n stands in n rows of a patient or slide, or in a multiple of n where several of
    its slides have n rows, and some n is more than 1. Such numbers do not weigh rows: patches would count
    twice.

    Args:
        ids: (R,) text, bytes or numbers.
        counts: (R,) ``n_patches``.
    """
    if (
        not len(counts)
        or not (counts > 1).any()
        or not (counts == np.floor(counts)).all()
        or (counts < 1).any()
    ):
        return False
    number_of = {one: number for number, one in enumerate(dict.fromkeys(ids.tolist()))}
    owners = np.fromiter(map(number_of.__getitem__, ids.tolist()), np.int64, len(ids))
    order = np.lexsort((counts, owners))
    owners, counts = owners[order], counts[order]
    starts = np.flatnonzero(np.r_[True, (owners[1:] != owners[:-1]) | (counts[1:] != counts[:-1])])
    rows = np.diff(np.append(starts, len(counts)))
    return bool((rows % counts[starts] == 0).all())
