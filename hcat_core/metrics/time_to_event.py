"""Metrics of event times under censoring: Uno's C index, Brier scores at and up to the horizon.

The distribution of censoring is estimated on training patients (Graf et al. 1999; Uno et al. 2011).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch

from hcat_core.cohort import Targets, Task
from hcat_core.metrics.discrimination import RESAMPLED_FROM
from hcat_core.metrics.survival import censoring_survival, timed

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
    known, fitted = timed(test, column), timed(train, column)
    if not known.any() or not fitted.any():
        return TimeScores()
    time, event = _arrays(test, column, known)
    train_time, train_event = _arrays(train, column, fitted)
    days = np.array(task.curve_days)
    at_own_time = 1 / censoring_survival(train_time, train_event, time)
    at_day = 1 / censoring_survival(train_time, train_event, np.nextafter(days, np.inf))
    p = curve[known.numpy()]
    at_horizon = integrated = None
    if np.isfinite(p[:, -1]).all():
        at_horizon = float(_brier(time, event, p[:, -1:], at_own_time, at_day[-1:], days[-1:])[0])
    if np.isfinite(p).all():
        scores = _brier(time, event, p, at_own_time, at_day, days)
        integrated = float(np.trapezoid(scores, days) / (days[-1] - days[0]))
    c_index = _uno_c(time, event, p[:, -1], at_own_time, task.horizon_days)
    return TimeScores(c_index, at_horizon, integrated)


def c_index_interval(
    task: Task,
    column: int,
    train: Targets,
    test: Targets,
    risk: np.ndarray,
    *,
    resamples: int,
    seed: int,
) -> tuple[float, float] | None:
    """Percentile bootstrap 95 % interval of Uno's C over patients.

    None with fewer than ``RESAMPLED_FROM`` comparable events, and with more than ``MOST_PAIRED`` patients.
    A resample is a vector m of patient counts. With B the weights of comparable pairs and A the part of B
    in the right order, its C is m'A m / m'B m, so that all resamples take two matrix products.

    Args:
        task: the task, with its horizon.
        column: the task's column in ``train`` and ``test``.
        train: outcomes of training patients, for the distribution of censoring.
        test: outcomes of N patients.
        risk: (N,) predicted risk; patients with a higher value should have the event earlier.
        resamples: how many; 0 for no interval.
        seed: of the resamples.
    """
    known, fitted = timed(test, column), timed(train, column)
    n = int(known.sum())
    if not resamples or not 1 < n <= MOST_PAIRED or not fitted.any():
        return None
    time, event = _arrays(test, column, known)
    weight = 1 / censoring_survival(*_arrays(train, column, fitted), time) ** 2
    r = risk[known.numpy()]
    first = (event == 1) & (time < task.horizon_days)
    later = (time[None, :] > time[:, None]) | ((time[None, :] == time[:, None]) & (event == 0)[None, :])
    pairs = (first[:, None] & later) * weight[:, None]
    right = pairs * ((r[:, None] > r[None, :]) + 0.5 * (r[:, None] == r[None, :]))
    if pairs.any(axis=1).sum() < RESAMPLED_FROM or not np.isfinite(r).all():
        return None
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
    total = ((counts @ pairs) * counts).sum(axis=1)
    c = ((counts @ right) * counts).sum(axis=1)[total > 0] / total[total > 0]
    low, high = np.quantile(c, [0.025, 0.975])
    return float(low), float(high)


def _arrays(targets: Targets, column: int, known: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Times in days, and events as 0 or 1, of the ``known`` patients."""
    time = targets.time[known, column].double().numpy()
    return time, (targets.event[known, column] == 1).numpy().astype(np.int64)


def _uno_c(
    time: np.ndarray, event: np.ndarray, risk: np.ndarray, weight: np.ndarray, horizon: float
) -> float | None:
    """torchsurv's concordance of events before the horizon, with Uno's weights."""
    comparable = (event == 1) & (time < horizon) & (time < time.max())
    if not comparable.any() or not np.isfinite(risk).all():
        return None
    from torchsurv.metrics.cindex import ConcordanceIndex

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = ConcordanceIndex()(
            torch.from_numpy(risk.astype(np.float64)),
            torch.from_numpy(event == 1),
            torch.from_numpy(time),
            weight=torch.from_numpy(weight),
            tmax=torch.tensor(float(horizon)),
        )
    return float(value) if np.isfinite(float(value)) else None


def _brier(
    time: np.ndarray,
    event: np.ndarray,
    probability: np.ndarray,
    weight: np.ndarray,
    at_day: np.ndarray,
    days: np.ndarray,
) -> np.ndarray:
    """(H,) Brier scores at ``days``.

    Patients with the event by a day are weighted by ``weight``, the inverse probability of censoring at
    their own time; patients still followed then by ``at_day``, the one at that day.
    """
    had_event = ((time[:, None] <= days) & (event == 1)[:, None]) * weight[:, None]
    followed = (time[:, None] > days) * at_day
    return np.asarray((had_event * (1 - probability) ** 2 + followed * probability**2).mean(axis=0))
