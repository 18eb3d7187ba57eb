"""Metrics of event times under censoring: Uno's C index, Brier scores at and up to the horizon.

The distribution of censoring is estimated on training patients (Graf et al. 1999; Uno et al. 2011). With
competing events, scores are those of the cumulative incidence: a patient with a competing event first stays
comparable as one who will not have the event (Wolbers et al. 2014; Schoop et al. 2011).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hcat_core.cohort import Targets
from hcat_core.layout import Task
from hcat_core.metrics.censoring import censoring_survival
from hcat_core.metrics.fewest import FEWEST_OF_EACH
from hcat_core.metrics.intervals import ENDS, Resampling
from hcat_core.metrics.resampling import CELLS, resampled_counts
from hcat_core.metrics.survival import causes
from hcat_core.metrics.weights_below import weights_below

MOST_PAIRED = 4000  # patients; one matrix of their pairs takes 128 MB


@dataclass(frozen=True)
class TimeScores:
    """Scores of one task that need event times; None where a score is not defined.

    Attributes:
        c_index: Uno's C, of events before the horizon.
        brier_ipcw: Brier score at the horizon, weighted by the inverse probability of censoring.
        integrated_brier: mean of that score over the task's ``curve_days``.
    """

    c_index: float | None = None
    brier_ipcw: float | None = None
    integrated_brier: float | None = None


def time_metrics(task: Task, column: int, train: Targets, test: Targets, curve: np.ndarray) -> TimeScores:
    """Uno's C truncated at the horizon, the Brier score at the horizon, and its integral up to it.

    A score is None where it is not defined: no times, no two patients to compare, or no curve.

    Args:
        task: the task, with its horizon.
        column: the task's column in ``train`` and ``test``.
        train: outcomes of training patients, for the distribution of censoring.
        test: outcomes of the N patients to score.
        curve: (N, 12) event probability by each of the task's ``curve_days``; the last one ranks.
    """
    known, time, cause = causes(test, column)
    followed = causes(train, column)[1:]
    if not len(time) or not len(followed[0]):
        return TimeScores()
    days = np.array(task.curve_days)
    at_own_time = 1 / censoring_survival(followed[0], followed[1], time)
    at_day = 1 / censoring_survival(followed[0], followed[1], np.nextafter(days, np.inf))
    p = curve[known.numpy()]
    at_horizon = integrated = None
    if np.isfinite(p[:, -1]).all():
        at_horizon = float(_brier(time, cause, p[:, -1:], at_own_time, at_day[-1:], days[-1:])[0])
    if np.isfinite(p).all():
        scores = _brier(time, cause, p, at_own_time, at_day, days)
        integrated = float(np.trapezoid(scores, days) / (days[-1] - days[0]))
    c_index = _uno_c(time, cause, p[:, -1], at_own_time, task.horizon)
    return TimeScores(c_index, at_horizon, integrated)


def c_index_interval(
    task: Task,
    column: int,
    train: Targets,
    test: Targets,
    risk: np.ndarray,
    resampling: Resampling,
) -> tuple[float, float] | None:
    """Percentile bootstrap 95 % interval of Uno's C over patients, or groups as wholes.

    None with fewer than ``FEWEST_OF_EACH`` comparable events, or patients to compare them with, or groups
    that have one, and with more than ``MOST_PAIRED`` patients.
    A resample is a vector m of patient counts. With B the weights of comparable pairs and A the part of B
    in the right order, its C is m'A m / m'B m, so that all resamples take two matrix products.

    Args:
        task: the task, with its horizon.
        column: the task's column in ``train`` and ``test``.
        train: outcomes of training patients, for the distribution of censoring.
        test: outcomes of N patients.
        risk: (N,) predicted risk; patients with a higher value should have the event earlier.
        resampling: of the N patients.
    """
    known, time, cause = causes(test, column)
    followed = causes(train, column)[1:]
    n, of_known = len(time), resampling.of(known.numpy())
    if not resampling.resamples or not 1 < n <= MOST_PAIRED or not len(followed[0]):
        return None
    weight = 1 / censoring_survival(followed[0], followed[1], time)
    r = risk[known.numpy()]
    first = np.flatnonzero((cause == 1) & (time < task.horizon))
    if not np.isfinite(r).all():
        return None
    parts = list(_comparable_pairs(time, cause, r, weight, first))
    pairs, right = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    units = np.arange(n) if of_known.groups is None else of_known.groups
    compared = units[first][pairs.any(axis=1)], units[pairs.any(axis=0)]
    if min(len(np.unique(side)) for side in compared) < FEWEST_OF_EACH:
        return None
    rng, together = np.random.default_rng(resampling.seed), np.ones(n, dtype=bool)
    counts = resampled_counts(rng, together, of_known.groups, resampling.resamples)
    total = ((counts[:, first] @ pairs) * counts).sum(axis=1)
    c = ((counts[:, first] @ right) * counts).sum(axis=1)[total > 0] / total[total > 0]
    low, high = np.quantile(c, ENDS)
    return float(low), float(high)


def _comparable_pairs(
    time: np.ndarray,
    cause: np.ndarray,
    risk: np.ndarray,
    weight: np.ndarray,
    first: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights (k, N) of pairs of k events and N patients, and the part of them in the right order.

    A patient is comparable with an event who was followed longer, or had a competing event before it.

    Args:
        time: (N,) days.
        cause: (N,) as in ``survival``.
        risk: (N,) predicted.
        weight: (N,) inverse probability of not being censored before a patient's time.
        first: (K,) rows of patients with the event, in parts of k of which pairs are made.
    """
    for rows in np.array_split(first, max(1, -(-len(first) * len(time) // CELLS))):
        t, r, w = time[rows, None], risk[rows, None], weight[rows, None]
        later = (time > t) | ((time == t) & (cause == 0))
        competing = (cause == 2) & (time <= t)
        pairs = later * w**2 + competing * w * weight
        yield pairs, pairs * ((r > risk) + 0.5 * (r == risk))


def _uno_c(
    time: np.ndarray, cause: np.ndarray, risk: np.ndarray, weight: np.ndarray, horizon: float
) -> float | None:
    """Uno's C of events before the horizon, of the pairs of ``_comparable_pairs``; None without a pair.

    Pairs are not made: N patients take time N log N.
    """
    if not np.isfinite(risk).all():
        return None
    first = (cause == 1) & (time < horizon)
    rank = np.unique(risk, return_inverse=True)[1]
    t, own, w = time[first], rank[first], weight[first]
    # Followed longer: those followed the longest come first, on one day the censored before the others.
    order = np.lexsort((cause != 0, -time))
    of_later = _Ordered(rank[order], np.ones(len(time)))
    censored = np.sort(time[cause == 0])
    on_the_day = np.searchsorted(censored, t, side="right") - np.searchsorted(censored, t, side="left")
    later = len(time) - np.searchsorted(np.sort(time), t, side="right") + on_the_day
    # A competing event on the day or before it.
    other = np.flatnonzero(cause == 2)
    other = other[np.argsort(time[other], kind="stable")]
    of_other = _Ordered(rank[other], weight[other])
    before = np.searchsorted(time[other], t, side="right")
    total = float((w**2 * of_later.upto(later) + w * of_other.upto(before)).sum())
    right = float((w**2 * of_later.right(later, own) + w * of_other.right(before, own)).sum())
    return right / total if total > 0 else None


@dataclass(frozen=True)
class _Ordered:
    """Patients in an order: (n,) ranks of their predictions, and weights."""

    rank: np.ndarray
    weight: np.ndarray

    def upto(self, places: np.ndarray) -> np.ndarray:
        """(K,) sums of the weights of the first ``places`` (K,) patients."""
        return np.asarray(np.r_[0.0, self.weight.cumsum()][places])

    def right(self, places: np.ndarray, own: np.ndarray) -> np.ndarray:
        """(K,) the same of those with a lower rank than ``own`` (K,); of the same rank, half."""
        lower, not_higher = (weights_below(self.rank, self.weight, places, own + extra) for extra in (0, 1))
        return np.asarray((lower + not_higher) / 2)


def _brier(
    time: np.ndarray,
    cause: np.ndarray,
    probability: np.ndarray,
    weight: np.ndarray,
    at_day: np.ndarray,
    days: np.ndarray,
) -> np.ndarray:
    """(H,) Brier scores at ``days``.

    Patients with the event, or a competing one, by a day are weighted by ``weight``, the inverse
    probability of censoring at their own time; patients still followed then by ``at_day``, the one at that
    day.
    """
    by_day = time[:, None] <= days
    event = by_day & (cause == 1)[:, None]
    weights = (by_day & (cause > 0)[:, None]) * weight[:, None] + ~by_day * at_day
    return np.asarray((weights * (event - probability) ** 2).mean(axis=0))
