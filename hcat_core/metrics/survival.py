"""Survival times: partial likelihood, Breslow's baseline, censoring weights, pseudo-observations.

Losses come from torchsurv; what is here is the handling of patients whose time is unknown, and the
estimators of a handful of lines.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Layout, Targets


def timed(targets: Targets, column: int) -> Tensor:
    """(N,) bool: time and event of a task are known, and the time is not 0."""
    time = targets.time[:, column]
    return (targets.event[:, column] >= 0) & time.isfinite() & (time > 0)


def partial_likelihood(log_hazard: Tensor, time: Tensor, event: Tensor) -> Tensor:
    """Cox's negative log partial likelihood, mean over events, Efron's ties; 0 without events."""
    if int(event.sum()) == 0:
        return log_hazard.sum() * 0
    from torchsurv.loss.cox import neg_partial_log_likelihood

    with warnings.catch_warnings():  # days tie; Efron's method is what we want
        warnings.simplefilter("ignore", UserWarning)
        loss: Tensor = neg_partial_log_likelihood(log_hazard, event.bool(), time)
    return loss


def breslow(log_hazard: Tensor, time: Tensor, event: Tensor, days: Tensor) -> Tensor:
    """(H,) baseline cumulative hazard by each of ``days`` (Breslow 1974)."""
    order = torch.argsort(time, descending=True)
    t, e, risk = time[order], event[order].double(), log_hazard[order].double().exp()
    # Everyone whose time is not shorter is at risk, those tied with the event too.
    last = torch.searchsorted(-t, -t, right=True) - 1
    at_risk = risk.cumsum(0)[last]
    step = e / at_risk
    return torch.stack([(step * (t <= day)).sum() for day in days])


def kaplan_meier(time: np.ndarray, event: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(H,) P(no event by each of ``days``), for (N,) times and events."""
    values, died, _, at_risk = _counts(time, event)
    survival = np.cumprod(1 - died / at_risk)
    return np.asarray(np.r_[1.0, survival][np.searchsorted(values, days, side="right")])


def censoring_survival(time: np.ndarray, event: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(H,) P(not yet censored just before each of ``days``), at least 0.05 so that no weight explodes.

    Kaplan-Meier with the roles exchanged; of those who leave on one day, events leave first.
    """
    values, died, lost, at_risk = _counts(time, event)
    survival = np.cumprod(1 - lost / np.maximum(at_risk - died, 1))
    return np.asarray(np.maximum(np.r_[1.0, survival][np.searchsorted(values, days, side="left")], 0.05))


def known_weights(targets: Targets, column: int, horizon_days: float, train: Targets) -> np.ndarray:
    """(N,) inverse probability that an outcome at the horizon became known; 0 where it did not.

    Who is censored before the horizon is unknown, who has the event is not: known outcomes hold too many
    events. Weighted, they stand for everyone (Robins and Rotnitzky 1992; Graf et al. 1999). 1 for each
    known outcome where there are no times.

    Args:
        targets: of N patients.
        column: of the task.
        horizon_days: of the task.
        train: for the distribution of censoring.
    """
    labels = targets.labels[:, column].numpy()
    weights = (labels >= 0).astype(float)
    own, fitted = timed(targets, column).numpy() & (labels >= 0), timed(train, column)
    if not own.any() or not fitted.any():
        return weights
    time = train.time[fitted, column].double().numpy()
    event = (train.event[fitted, column] == 1).numpy()
    # Who is lost on the horizon's very day is known to be event-free.
    until = np.where(labels == 1, targets.time[:, column].double().numpy(), horizon_days)
    weights[own] = 1 / censoring_survival(time, event, until[own])
    return weights


def all_known_weights(layout: Layout, targets: Targets, train: Targets) -> np.ndarray:
    """(N, T) ``known_weights`` of every task."""
    columns = [known_weights(targets, i, task.horizon_days, train) for i, task in enumerate(layout.tasks)]
    return np.stack(columns, axis=1)


def _counts(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct times, and at each: events, censored, and how many were at risk."""
    values, place = np.unique(time, return_inverse=True)
    died = np.bincount(place, event == 1, len(values))
    lost = np.bincount(place, event != 1, len(values))
    return values, died, lost, (died + lost)[::-1].cumsum()[::-1]


def pseudo_observations(time: np.ndarray, event: np.ndarray, day: float) -> np.ndarray:
    """(N,) jackknife pseudo-values of P(event by ``day``) (Andersen, Klein and Rosthoj 2003).

    Their regression on covariates is consistent for the event probability when censoring does not depend
    on the covariates, so that censored patients teach too.
    """
    n = len(time)
    values, place = np.unique(time, return_inverse=True)
    died = np.bincount(place, event == 1, len(values))
    at_risk = np.bincount(place, minlength=len(values))[::-1].cumsum()[::-1]
    upto = values <= day
    whole = 1 - np.prod(1 - died[upto] / at_risk[upto])
    # Leaving out patient i takes one from those at risk up to their time, and their event from its day.
    columns = np.flatnonzero(upto)
    less = (values[columns] <= time[:, None]).astype(float)
    own = ((place[:, None] == columns) & (event == 1)[:, None]).astype(float)
    risk = np.maximum(at_risk[columns] - less, 1e-12)
    without = 1 - np.prod(1 - (died[columns] - own) / risk, axis=1)
    return np.asarray(n * whole - (n - 1) * without)


def aalen_johansen(time: np.ndarray, cause: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(H,) P(event of cause 1 by each of ``days``) where another event may come first.

    Kaplan-Meier would count those who died as if they could still have it (Aalen and Johansen 1978).

    Args:
        time: (N,) days.
        cause: (N,) 0 censored, 1 the event, 2 the competing one.
        days: (H,).
    """
    values, place = np.unique(time, return_inverse=True)
    own = np.bincount(place, cause == 1, len(values))
    any_event = np.bincount(place, cause > 0, len(values))
    at_risk = np.bincount(place, minlength=len(values))[::-1].cumsum()[::-1]
    free_before = np.r_[1.0, np.cumprod(1 - any_event / at_risk)[:-1]]
    incidence = np.cumsum(free_before * own / at_risk)
    return np.asarray(np.r_[0.0, incidence][np.searchsorted(values, days, side="right")])


def causes(targets: Targets, column: int, competing: int | None) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Which of three things ended each patient's time: the event, a competing event, or censoring.

    Args:
        targets: of N patients.
        column: of the task.
        competing: the column of the task whose event makes this one impossible, if any.

    Returns:
        (N,) bool of patients whose time is known, and their (n,) days and causes: 0 censored, 1 event,
        2 competing.
    """
    known = timed(targets, column)
    time = targets.time[known, column].double().numpy()
    cause = (targets.event[known, column] == 1).long().numpy()
    if competing is not None:
        other = targets.time[known, competing].double().numpy()
        happened = (targets.event[known, competing] == 1).numpy()
        # Followed until death: the competing event is on the day on which the own time ends.
        cause[(cause == 0) & happened & (other <= time + 0.5)] = 2
    return known, time, cause
