"""Estimators for survival times: Kaplan-Meier, Aalen-Johansen, Breslow, censoring weights and others.

The partial likelihood is torchsurv's. Patients with an unknown time are left out with ``timed``.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Layout, Targets


def timed(targets: Targets, column: int) -> Tensor:
    """(N,) bool: True where time and event of a task are known and the time is positive."""
    time = targets.time[:, column]
    return (targets.event[:, column] >= 0) & time.isfinite() & (time > 0)


def partial_likelihood(log_hazard: Tensor, time: Tensor, event: Tensor) -> Tensor:
    """Cox's negative log partial likelihood, as a mean over events, with Efron's ties; 0 without events.

    Args:
        log_hazard: (N,) predicted.
        time: (N,) days.
        event: (N,) 1 where the event happened, 0 where the patient was censored.
    """
    if int(event.sum()) == 0:
        return log_hazard.sum() * 0
    from torchsurv.loss.cox import neg_partial_log_likelihood

    with warnings.catch_warnings():  # torchsurv warns of ties, and uses Efron's method
        warnings.simplefilter("ignore", UserWarning)
        loss: Tensor = neg_partial_log_likelihood(log_hazard, event.bool(), time)
    return loss


def breslow(log_hazard: Tensor, time: Tensor, event: Tensor, days: Tensor) -> Tensor:
    """(H,) baseline cumulative hazard by each of ``days`` (Breslow 1974)."""
    order = torch.argsort(time, descending=True)
    t, e, risk = time[order], event[order].double(), log_hazard[order].double().exp()
    # Patients tied with the event are at risk, too.
    last = torch.searchsorted(-t, -t, right=True) - 1
    at_risk = risk.cumsum(0)[last]
    step = e / at_risk
    return torch.stack([(step * (t <= day)).sum() for day in days])


def kaplan_meier(time: np.ndarray, event: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(H,) P(no event by each of ``days``), for (N,) times and events."""
    values, events, _, at_risk = _counts(time, event)
    survival = np.cumprod(1 - events / at_risk)
    return np.asarray(np.r_[1.0, survival][np.searchsorted(values, days, side="right")])


def censoring_survival(time: np.ndarray, event: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(H,) P(not yet censored just before each of ``days``), at least 0.05 to bound the weights.

    Kaplan-Meier with events and censorings exchanged; on the same day, events come before censorings.
    """
    values, events, censored, at_risk = _counts(time, event)
    survival = np.cumprod(1 - censored / np.maximum(at_risk - events, 1))
    return np.asarray(np.maximum(np.r_[1.0, survival][np.searchsorted(values, days, side="left")], 0.05))


def known_weights(targets: Targets, column: int, horizon_days: float, train: Targets) -> np.ndarray:
    """(N,) inverse probability that the outcome at the horizon became known; 0 where it is unknown.

    A patient censored before the horizon has an unknown outcome, so that events are over-represented
    among known outcomes. With these weights, patients with a known outcome represent all (Robins and
    Rotnitzky 1992; Graf et al. 1999). Without event times, the weight of a known outcome is 1.

    Args:
        targets: outcomes of N patients.
        column: the task's column.
        horizon_days: of the task.
        train: outcomes of training patients, for the distribution of censoring.
    """
    labels = targets.labels[:, column].numpy()
    weights = (labels >= 0).astype(float)
    weighted, fitted = timed(targets, column).numpy() & (labels >= 0), timed(train, column)
    if not weighted.any() or not fitted.any():
        return weights
    time = train.time[fitted, column].double().numpy()
    event = (train.event[fitted, column] == 1).numpy()
    # A patient censored on the day of the horizon is known to be event-free.
    until = np.where(labels == 1, targets.time[:, column].double().numpy(), horizon_days)
    weights[weighted] = 1 / censoring_survival(time, event, until[weighted])
    return weights


def all_known_weights(layout: Layout, targets: Targets, train: Targets) -> np.ndarray:
    """(N, T) ``known_weights`` of every task."""
    columns = [known_weights(targets, i, task.horizon_days, train) for i, task in enumerate(layout.tasks)]
    return np.stack(columns, axis=1)


def _counts(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct times, and at each of them the numbers of events, of censorings and of patients at risk."""
    values, place = np.unique(time, return_inverse=True)
    events = np.bincount(place, event == 1, len(values))
    censored = np.bincount(place, event != 1, len(values))
    return values, events, censored, (events + censored)[::-1].cumsum()[::-1]


def pseudo_observations(time: np.ndarray, event: np.ndarray, day: float) -> np.ndarray:
    """(N,) jackknife pseudo-values of P(event by ``day``) (Andersen, Klein and Rosthoj 2003).

    Their regression on covariates is consistent for the event probability when censoring does not depend
    on the covariates; so censored patients contribute, too.
    """
    n = len(time)
    values, died, _, at_risk = _counts(time, event)
    upto = values <= day
    of_all = 1 - np.prod(1 - died[upto] / at_risk[upto])
    # Without patient i, there is one patient less at risk up to their time, and one event less on its day.
    columns = np.flatnonzero(upto)
    less = (values[columns] <= time[:, None]).astype(float)
    own_event = ((time[:, None] == values[columns]) & (event == 1)[:, None]).astype(float)
    risk = np.maximum(at_risk[columns] - less, 1e-12)
    without = 1 - np.prod(1 - (died[columns] - own_event) / risk, axis=1)
    return np.asarray(n * of_all - (n - 1) * without)


def aalen_johansen(time: np.ndarray, cause: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(H,) P(event of cause 1 by each of ``days``) in the presence of a competing event.

    The estimator of Aalen and Johansen (1978). Kaplan-Meier would treat patients with the competing event
    as if they could still have the event.

    Args:
        time: (N,) days.
        cause: (N,) 0 censored, 1 the event, 2 the competing event.
        days: (H,).
    """
    values, events, _, at_risk = _counts(time, cause)
    any_event = _counts(time, (cause > 0).astype(int))[1]
    free_before = np.r_[1.0, np.cumprod(1 - any_event / at_risk)[:-1]]
    incidence = np.cumsum(free_before * events / at_risk)
    return np.asarray(np.r_[0.0, incidence][np.searchsorted(values, days, side="right")])


def competing_first(targets: Targets, column: int, competing: int) -> Tensor:
    """(N,) bool: True where the event of another task came first and ended the follow-up for this one.

    Args:
        targets: outcomes of N patients.
        column: the task's column.
        competing: the column of the task whose event makes this one impossible.
    """
    # Follow-up for the event ends on the day of the competing event; days may be rounded.
    in_time = targets.time[:, competing] <= targets.time[:, column] + 0.5
    return (targets.event[:, column] != 1) & (targets.event[:, competing] == 1) & in_time


def causes(targets: Targets, column: int, competing: int | None) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Find what ended each patient's follow-up: the event, a competing event, or censoring.

    Args:
        targets: outcomes of N patients.
        column: the task's column.
        competing: the column of the task whose event makes this one impossible, if any.

    Returns:
        (N,) bool of patients with a known time, and the (n,) days and causes of these: 0 censored, 1
        event, 2 competing event.
    """
    known = timed(targets, column)
    time = targets.time[known, column].double().numpy()
    cause = (targets.event[known, column] == 1).long().numpy()
    if competing is not None:
        cause[competing_first(targets, column, competing)[known].numpy()] = 2
    return known, time, cause
