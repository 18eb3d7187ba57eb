"""Metrics that know of time and of calibration: Uno's C, Brier scores under censoring, slopes.

Weights of censoring are estimated on training patients (Graf et al. 1999; Uno et al. 2011).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

from hcat_core.cohort import Targets, Task
from hcat_core.metrics.discrimination import RESAMPLED_FROM
from hcat_core.metrics.recalibration import sigmoid
from hcat_core.metrics.survival import censoring_survival, timed

MOST_PAIRED = 4000  # patients: 128 MB of pairs a matrix


def time_metrics(
    task: Task, column: int, train: Targets, test: Targets, curve: np.ndarray
) -> dict[str, float | None]:
    """Uno's C truncated at the horizon, Brier score at it, and its integral up to it.

    Args:
        task: with its horizon.
        column: of the task.
        train: for the distribution of censoring.
        test: N patients to score.
        curve: (N, 12) event probability by each of the task's ``curve_days``; the last one ranks.

    Returns:
        ``c_index``, ``brier_ipcw`` and ``integrated_brier``, None where they are not defined: no times, no
        two patients to compare, or no curve.
    """
    nothing: dict[str, float | None] = {"c_index": None, "brier_ipcw": None, "integrated_brier": None}
    known, fitted = timed(test, column), timed(train, column)
    if not known.any() or not fitted.any():
        return nothing
    time, event = _arrays(test, column, known)
    train_time, train_event = _arrays(train, column, fitted)
    days = np.array(task.curve_days)
    own = 1 / censoring_survival(train_time, train_event, time)
    late = 1 / censoring_survival(train_time, train_event, np.nextafter(days, np.inf))
    p = curve[known.numpy()]
    result = dict(nothing)
    result["c_index"] = _uno_c(time, event, p[:, -1], own, task.horizon_days)
    if np.isfinite(p[:, -1]).all():
        result["brier_ipcw"] = float(_brier(time, event, p[:, -1:], own, late[-1:], days[-1:])[0])
    if np.isfinite(p).all():
        scores = _brier(time, event, p, own, late, days)
        result["integrated_brier"] = float(np.trapezoid(scores, days) / (days[-1] - days[0]))
    return result


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
    """Percentile bootstrap 95 % interval of Uno's C over patients; None with few events or without any C.

    A resample is a vector of patient counts m; with B (weight of each comparable pair) and A (the part
    of it in the right order) its C is m'A m / m'B m: all resamples are two matrix products.

    Args:
        task: with its horizon.
        column: of the task.
        train: for the distribution of censoring.
        test: N patients; more than ``MOST_PAIRED`` are too many pairs to hold, and get no interval.
        risk: (N,) the higher, the earlier.
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


def calibration(
    probability: np.ndarray, label: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, Any]:
    """Slope and intercept of the outcome on the logit (Cox 1958): 1 and 0 when probabilities are right.

    The slope is below 1 for predictions too far from the middle; the intercept (slope held at 1) is
    above 0 where too few events were predicted. ``calibration_slope_95`` is Wald's interval of the slope,
    from the sandwich estimator of variance, which knows of weights.

    Args:
        probability: (N,) predicted.
        label: (N,) 1, 0 or -1; unknown ones are passed over.
        weights: (N,) as of ``known_weights``; known outcomes alone hold too many events.
    """
    known = (label >= 0) & np.isfinite(probability)
    p, y = np.clip(probability[known], 1e-4, 1 - 1e-4), label[known].astype(float)
    w = np.ones(len(y)) if weights is None else weights[known]
    if not 0 < y.sum() < len(y):
        return {"calibration_slope": None, "calibration_slope_95": None, "calibration_intercept": None}
    z = np.log(p / (1 - p))

    def loss(line: np.ndarray, slope: bool) -> float:
        eta = line[0] + (line[1] if slope else 1.0) * z
        return float(np.average(np.logaddexp(0, eta) - y * eta, weights=w))

    both = minimize(loss, np.array([0.0, 1.0]), args=(True,), method="BFGS").x
    alone = minimize(loss, np.array([0.0]), args=(False,), method="BFGS").x
    fitted = sigmoid(both[0] + both[1] * z)
    design = np.stack([np.ones_like(z), z])
    bread = np.linalg.pinv((design * w * fitted * (1 - fitted)) @ design.T)
    meat = (design * (w * (y - fitted)) ** 2) @ design.T
    half = 1.96 * float(np.sqrt(max((bread @ meat @ bread)[1, 1], 0)))
    return {
        "calibration_slope": float(both[1]),
        "calibration_slope_95": (float(both[1] - half), float(both[1] + half)),
        "calibration_intercept": float(alone[0]),
    }


def _arrays(targets: Targets, column: int, known: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    time = targets.time[known, column].double().numpy()
    return time, (targets.event[known, column] == 1).numpy().astype(np.int64)


def _uno_c(
    time: np.ndarray, event: np.ndarray, risk: np.ndarray, weight: np.ndarray, horizon: float
) -> float | None:
    """torchsurv's concordance, with Uno's weights, of events before the horizon."""
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
    late: np.ndarray,
    days: np.ndarray,
) -> np.ndarray:
    """(H,) Brier scores: events weigh by censoring at their time, those still followed at the day."""
    died = ((time[:, None] <= days) & (event == 1)[:, None]) * weight[:, None]
    alive = (time[:, None] > days) * late
    return np.asarray((died * (1 - probability) ** 2 + alive * probability**2).mean(axis=0))
