"""Weights with which patients whose outcome is known represent those censored before it was.

Censoring is what ended a follow-up without the event or a competing one. Its distribution is estimated on
training patients (Graf et al. 1999; Uno et al. 2011).
"""

from __future__ import annotations

import numpy as np

from hcat_core.cohort import Targets
from hcat_core.layout import Layout
from hcat_core.metrics.survival import causes, counts_by_day, timed

SMALLEST = 0.05  # probability of not being censored; bounds the weights


def censoring_survival(time: np.ndarray, cause: np.ndarray, days: np.ndarray) -> np.ndarray:
    """(H,) P(not yet censored just before each of ``days``), at least ``SMALLEST``.

    The estimator of Kaplan and Meier with events and censorings exchanged; on the same day, events come
    before censorings.

    Args:
        time: (N,) days.
        cause: (N,) 0 censored, 1 the event, 2 a competing event.
        days: (H,).
    """
    values, censored, at_risk = counts_by_day(time, cause == 0)
    ended = counts_by_day(time, cause > 0)[1]
    survival = np.cumprod(1 - censored / np.maximum(at_risk - ended, 1))
    before = np.r_[1.0, survival][np.searchsorted(values, days, side="left")]
    return np.asarray(np.maximum(before, SMALLEST))


def known_weights(targets: Targets, column: int, horizon_days: float | None, train: Targets) -> np.ndarray:
    """(N,) inverse probability that the outcome at the horizon became known; 0 where it is unknown.

    A patient censored before the horizon has an unknown outcome, so that events are over-represented
    among known outcomes. With these weights, patients with a known outcome represent all (Robins and
    Rotnitzky 1992; Graf et al. 1999): on the patients on whom censoring was estimated, the weighted share
    of events is the estimate of Kaplan and Meier, with competing events that of Aalen and Johansen.
    Without event times, the weight of a known outcome is 1.

    Args:
        targets: outcomes of N patients.
        column: the task's column.
        horizon_days: of the task; None for one of labels that no time belongs to.
        train: outcomes of training patients, for the distribution of censoring.
    """
    labels = targets.labels[:, column].numpy()
    weights = (labels >= 0).astype(float)
    weighted = timed(targets, column).numpy() & (labels >= 0)
    fitted, time, cause = causes(train, column)
    if horizon_days is None or not weighted.any() or not fitted.any():
        return weights
    # Known from the day of the event or the competing one; of others, at the horizon, that day included.
    until = np.minimum(targets.time[:, column].double().numpy()[weighted], horizon_days)
    weights[weighted] = 1 / censoring_survival(time, cause, until)
    return weights


def all_known_weights(layout: Layout, targets: Targets, train: Targets) -> np.ndarray:
    """(N, T) ``known_weights`` of every task."""
    columns = [known_weights(targets, i, task.horizon_days, train) for i, task in enumerate(layout.tasks)]
    return np.stack(columns, axis=1)
