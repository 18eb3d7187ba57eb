"""Sums over the patients before a place in an order whose rank is below another: pairs, not one by one."""

from __future__ import annotations

import numpy as np


def weights_below(rank: np.ndarray, weight: np.ndarray, upto: np.ndarray, below: np.ndarray) -> np.ndarray:
    """(Q,) sums of weights of the first ``upto`` patients whose rank is less than ``below``.

    All pairs of Q queries and n patients are summed in time (n + Q) log n: the ranks' bits are looked at
    from the highest on, each time with patients divided by the bit, in order (the wavelet matrix of Claude,
    Navarro and Ordóñez 2015).

    Args:
        rank: (n,) integers from 0, in the patients' order.
        weight: (n,) of patients.
        upto: (Q,) from 0 to n.
        below: (Q,) from 0 to the largest rank + 1.
    """
    bits = int(max(rank.max(initial=0), below.max(initial=0))).bit_length()
    start, end = np.zeros_like(upto), upto
    total = np.zeros(len(upto))
    for bit in reversed(range(bits)):
        is_zero = rank >> bit & 1 == 0
        zeros = np.r_[0, is_zero.cumsum()]
        mass = np.r_[0.0, (weight * is_zero).cumsum()]
        is_one_below = below >> bit & 1 == 1
        total += np.where(is_one_below, mass[end] - mass[start], 0.0)
        start, end = (
            np.where(is_one_below, zeros[-1] + place - zeros[place], zeros[place]) for place in (start, end)
        )
        divided = np.r_[np.flatnonzero(is_zero), np.flatnonzero(~is_zero)]
        rank, weight = rank[divided], weight[divided]
    return total
