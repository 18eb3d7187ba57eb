"""Estimators for survival times: Kaplan-Meier, Aalen-Johansen, Breslow, pseudo-observations.

The partial likelihood is torchsurv's. Patients with an unknown time are left out with ``timed``. What ended
a patient's follow-up, the cause, is 1 for the event, 2 for a competing event before it, 0 for censoring.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Targets

MOST_ONE_BY_ONE = 2000
"""Patients up to which jackknife estimates are made one by one, which takes time N D. Those made together,
in time N, agree to 1e-11, but a forest grown on them may break a tie of two features the other way."""
FINE_STEPS = 8  # between two days of a curve, where two causes compete


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


def cumulative_incidence(hazard: Tensor, competing: Tensor) -> Tensor:
    """(N, H) probability of the event by each of H days, where a competing event may come first.

    Within a step between days the ratio of the two hazards is taken as constant; steps should be short.

    Args:
        hazard: (N, H) cumulative cause-specific hazard of the event by rising days.
        competing: (N, H) the same of the competing event.
    """
    nothing = hazard.new_zeros((hazard.shape[0], 1))
    step, other = (torch.diff(h, dim=1, prepend=nothing) for h in (hazard, competing))
    both = step + other
    at_start = torch.exp(-(both.cumsum(dim=1) - both))
    share = step / both.clamp_min(1e-300)
    return (at_start * -torch.expm1(-both) * share).cumsum(dim=1)


def fine_days(days: Sequence[float], steps: int = FINE_STEPS) -> Tensor:
    """(steps * H,) days, ``steps`` in each of the H equal steps that end at ``days``."""
    return torch.linspace(0, days[-1], steps * len(days) + 1, dtype=torch.float64)[1:]


def kaplan_meier(time: np.ndarray, event: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(H,) P(no event by each of ``days``), for (N,) times and events."""
    values, events, at_risk = counts_by_day(time, event == 1)
    survival = np.cumprod(1 - events / at_risk)
    return np.asarray(np.r_[1.0, survival][np.searchsorted(values, days, side="right")])


def counts_by_day(time: np.ndarray, ended: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(D,) distinct times, and at each the numbers of patients who ``ended`` then, and who were at risk.

    Args:
        time: (N,) days.
        ended: (N,) bool.
    """
    values, place = np.unique(time, return_inverse=True)
    number = np.bincount(place, minlength=len(values))
    return values, np.bincount(place, ended, len(values)), number[::-1].cumsum()[::-1]


def pseudo_observations(time: np.ndarray, cause: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(N, H) jackknife pseudo-values of P(event by each of ``days``) (Andersen, Klein and Rosthoj 2003).

    Their regression on covariates is consistent for the event probability when censoring does not depend
    on the covariates; so censored patients contribute, too. With competing events the probability is the
    cumulative incidence (Klein and Andersen 2005).

    Args:
        time: (N,) days.
        cause: (N,) 0 censored, 1 the event, 2 a competing event.
        days: (H,).
    """
    n = len(time)
    values, events, at_risk = counts_by_day(time, cause == 1)
    ended = counts_by_day(time, cause > 0)[1]
    place = np.searchsorted(values, days, side="right")
    of_all = _incidence(events, ended, at_risk, place)
    leave_out = _incidence_without_each if n <= MOST_ONE_BY_ONE else _incidence_without
    without = leave_out(time, cause, (values, events, ended, at_risk), place)
    return np.asarray(n * of_all - (n - 1) * without)


def _incidence_without_each(
    time: np.ndarray, cause: np.ndarray, by_day: tuple[np.ndarray, ...], place: np.ndarray
) -> np.ndarray:
    """The same as ``_incidence_without``, from a table of N patients and D days."""
    upto = slice(0, max(1, int(place.max(initial=0))))
    values, events, ended, at_risk = (numbers[upto] for numbers in by_day)
    # Without patient i, there is one patient less at risk up to their time, and one event less on its day.
    on_day = time[:, None] == values
    return _incidence(
        events - (on_day & (cause == 1)[:, None]),
        ended - (on_day & (cause > 0)[:, None]),
        np.maximum(at_risk - (values <= time[:, None]), 1e-12),
        place,
    )


def _incidence_without(
    time: np.ndarray, cause: np.ndarray, by_day: tuple[np.ndarray, ...], place: np.ndarray
) -> np.ndarray:
    """(N, H) cumulative incidence after the first ``place`` (H,) of D days, without each patient in turn.

    Without a patient there is one patient less at risk up to their time, and one event less on its day.
    Later days are as with everyone, so that the incidence after a patient's day is the difference of
    everyone's, scaled to those who are free of events without the patient: N patients take time N.

    Args:
        time: (N,) days.
        cause: (N,) as in ``pseudo_observations``.
        by_day: (D,) each: days, events of cause 1, events of any cause, patients at risk.
        place: (H,) numbers of days.
    """
    values, events, ended, at_risk = by_day
    fewer = np.maximum(at_risk - 1, 1)
    free = np.r_[1.0, np.cumprod(1 - ended / at_risk)]
    incidence = np.r_[0.0, np.cumsum(free[:-1] * events / at_risk)]
    # Up to the day before a patient's own; on the last patient's day there is no one left.
    free_before = np.r_[1.0, np.cumprod(np.maximum(1 - ended / fewer, 0))]
    incidence_before = np.r_[0.0, np.cumsum(free_before[:-1] * events / fewer)]
    own = np.searchsorted(values, time)
    on_day = free_before[own] * (events[own] - (cause == 1)) / fewer[own]
    free_after = free_before[own] * (1 - (ended[own] - (cause > 0)) / fewer[own])
    scale = np.divide(free_after, free[own + 1], out=np.zeros(len(time)), where=free[own + 1] > 0)
    upto = (incidence_before[own] + on_day)[:, None]
    after = upto + scale[:, None] * (incidence[place] - incidence[own + 1][:, None])
    return np.asarray(np.where(place <= own[:, None], incidence_before[place], after))


def aalen_johansen(time: np.ndarray, cause: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(H,) P(event of cause 1 by each of ``days``) in the presence of a competing event.

    The estimator of Aalen and Johansen (1978). Kaplan-Meier would treat patients with the competing event
    as if they could still have the event.

    Args:
        time: (N,) days.
        cause: (N,) 0 censored, 1 the event, 2 the competing event.
        days: (H,).
    """
    values, events, at_risk = counts_by_day(time, cause == 1)
    ended = counts_by_day(time, cause > 0)[1]
    return _incidence(events, ended, at_risk, np.searchsorted(values, days, side="right"))


def _incidence(events: np.ndarray, ended: np.ndarray, at_risk: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(..., H) cumulative incidence after the first ``place`` (H,) of D days.

    Args:
        events: (..., D) number of patients with the event on each day.
        ended: (..., D) with the event or a competing one.
        at_risk: (..., D) still followed.
        place: (H,) numbers of days.
    """
    free = np.cumprod(1 - ended / at_risk, axis=-1)
    before = np.concatenate([np.ones_like(free[..., :1]), free[..., :-1]], axis=-1)
    total = np.cumsum(before * events / at_risk, axis=-1)
    return np.asarray(np.concatenate([np.zeros_like(total[..., :1]), total], axis=-1)[..., place])


def causes(targets: Targets, column: int) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """What ended each patient's follow-up for a task.

    Args:
        targets: outcomes of N patients.
        column: the task's column.

    Returns:
        (N,) bool of patients with a known time, and the (n,) days and causes of these.
    """
    known = timed(targets, column)
    time = targets.time[known, column].double().numpy()
    return known, time, targets.event[known, column].numpy().astype(np.int64)
