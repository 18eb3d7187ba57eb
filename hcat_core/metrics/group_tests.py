"""Whether groups of patients differ over time: the log-rank test, and Gray's where an event competes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class GroupTest:
    """A test of the hypothesis that the event comes as often in every group.

    Attributes:
        name: of the test.
        statistic: chi-square with one degree of freedom less than there are groups.
        p: its two-sided p value.
    """

    name: str
    statistic: float
    p: float


@dataclass(frozen=True)
class _Counts:
    """Patients of K groups on the D days on which follow-up ended with an event, (K, D) each.

    Attributes:
        at_risk: still followed on the day.
        events: with the event on the day.
        competing: with the competing event on the day.
    """

    at_risk: np.ndarray
    events: np.ndarray
    competing: np.ndarray


def compare_groups(time: np.ndarray, cause: np.ndarray, group: np.ndarray) -> GroupTest | None:
    """Test whether groups differ in the event of cause 1.

    Gray's test compares cumulative incidences, where some patients have the competing event first; the
    log-rank test hazards, where none do.

    Args:
        time: (N,) days.
        cause: (N,) 0 censored, 1 the event, 2 the competing event.
        group: (N,) numbers of groups.

    Returns:
        None with fewer than two groups, or without any event.
    """
    counts = _counts(time, cause, group)
    if len(counts.events) < 2 or not counts.events.any():
        return None
    competing = bool(counts.competing.any())
    score, variance = gray_score(counts) if competing else log_rank_score(counts)
    # The scores of all groups add up to 0: one of them says nothing.
    statistic = float(score[:-1] @ np.linalg.pinv(variance[:-1, :-1]) @ score[:-1])
    p = float(stats.chi2.sf(statistic, len(score) - 1))
    return GroupTest("Gray's test" if competing else "log-rank test", statistic, p)


def _counts(time: np.ndarray, cause: np.ndarray, group: np.ndarray) -> _Counts:
    days = np.unique(time[cause > 0])
    rows = [group == number for number in np.unique(group)]
    at_risk = [len(days) and row.sum() - np.searchsorted(np.sort(time[row]), days) for row in rows]
    ended = [
        [np.bincount(np.searchsorted(days, time[row & (cause == c)]), minlength=len(days)) for row in rows]
        for c in (1, 2)
    ]
    return _Counts(np.array(at_risk, float), np.array(ended[0], float), np.array(ended[1], float))


def log_rank_score(counts: _Counts) -> tuple[np.ndarray, np.ndarray]:
    """(K,) observed minus expected events, and their (K, K) variance (Mantel 1966)."""
    n, events = counts.at_risk.sum(axis=0), counts.events.sum(axis=0)
    share = counts.at_risk / n
    score = (counts.events - share * events).sum(axis=1)
    spread = events * (n - events) / np.maximum(n - 1, 1)
    return score, np.diag((share * spread).sum(axis=1)) - (share * spread) @ share.T


def gray_score(counts: _Counts) -> tuple[np.ndarray, np.ndarray]:
    """(K,) scores, and their (K, K) variance, of Gray's test with rho = 0 (1988, Ann. Stat. 16:1141).

    A group's modified risk set is R = h (1 - F1), where h is its number at risk divided by the share that
    is free of both events. The score sums events minus the group's share of R.

    For the variance the score is written as a sum over the increments of both causes' martingales in each
    group, with incidences that are pooled over groups, as the hypothesis says. An event changes the score
    on its day, and through the estimated incidence on all later days (``remaining``); a competing event
    does the latter alone. Counts of days with several events are taken for hypergeometric, as in the
    log-rank test.
    """
    y, events, competing = counts.at_risk, counts.events, counts.competing
    free_after = np.cumprod(1 - _over(events + competing, y), axis=1)
    free = _shifted(free_after, 1.0)
    incidence = _shifted(np.cumsum(free * _over(events, y), axis=1), 0.0)
    h = _over(y, free)
    modified, all_events, all_h = h * (1 - incidence), events.sum(axis=0), h.sum(axis=0)
    score = (events - _over(modified, modified.sum(axis=0)) * all_events).sum(axis=1)

    step = _over(all_events, all_h)
    pooled = np.cumsum(step)
    a = h[:, None] * np.eye(len(h))[:, :, None] - h[:, None] * _over(h, all_h)[None]  # (K, K, D)
    c = np.cumsum(a * _over(step, 1 - _shifted(pooled, 0.0)), axis=2)
    remaining = c[:, :, -1:] - c
    still = _over(1 - pooled, free_after)
    of_events = a + np.where(free_after > 0, 1 - still, 1.0) * remaining
    of_competing = still * remaining
    ties = 1 - _over(np.maximum(all_events - 1, 0), all_h * free - 1)
    competing_ties = 1 - _over(np.maximum(competing - 1, 0), y - 1)
    event_weight = ties * _over(free * all_events, all_h * y)
    competing_weight = competing_ties * _over(free**2 * competing, y**2)
    variance = np.einsum("jkd,lkd,kd->jl", of_events, of_events, event_weight)
    variance += np.einsum("jkd,lkd,kd->jl", of_competing, of_competing, competing_weight)
    return score, np.asarray(variance)


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """A quotient that is 0 where nobody is left to divide by."""
    above, below = np.broadcast_arrays(above, below)
    return np.asarray(np.divide(above, below, out=np.zeros(above.shape), where=below > 0))


def _shifted(values: np.ndarray, first: float) -> np.ndarray:
    """The values just before each day: of the day before, and ``first`` before the first one."""
    return np.concatenate([np.full_like(values[..., :1], first), values[..., :-1]], axis=-1)
