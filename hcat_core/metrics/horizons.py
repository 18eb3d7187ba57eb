"""Several horizons of one event come from one curve: no one is likelier to die by 3 years than by 5."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from hcat_core.interfaces import Prediction
from hcat_core.layout import Task
from hcat_core.metrics.recalibration import cumulative_hazard, scaled_curve


def tasks_by_event(tasks: Sequence[Task]) -> list[tuple[int, ...]]:
    """Columns of the tasks of each event, the first task of each in order.

    Tasks of one event have the same columns of time and event, and the same competing one.
    """
    columns: dict[object, list[int]] = {}
    for column, task in enumerate(tasks):
        event = column if task.times is None else (task.times, task.competing)
        columns.setdefault(event, []).append(column)
    return [tuple(group) for group in columns.values()]


def on_one_curve(prediction: Prediction, tasks: Sequence[Task]) -> Prediction:
    """The prediction with the probabilities of one event rising with time, across its tasks.

    Where probabilities at the horizons do not rise, as models or recalibrations of single horizons may
    have it, they are pooled: the rising values that are nearest in squares (isotonic regression, Brunk
    1955). Ends of intervals are pooled likewise, which keeps the probability between them. Curves of the
    tasks become one through these probabilities: between two horizons, that of the later one.

    Args:
        prediction: of N patients and T tasks.
        tasks: T.
    """
    shared = [columns for columns in tasks_by_event(tasks) if len(columns) > 1]
    if not shared:
        return prediction
    probability, curves = prediction.probability.copy(), prediction.curves.copy()
    interval = None if prediction.interval is None else prediction.interval.double().numpy().copy()
    for columns in shared:
        by_horizon = sorted(columns, key=lambda column: tasks[column].horizon)
        p = probability[:, by_horizon] = _rising(probability[:, by_horizon])
        for end in range(2) if interval is not None else ():
            assert interval is not None
            interval[:, by_horizon, end] = _rising(interval[:, by_horizon, end])
        curve = curves[:, by_horizon]
        if np.isnan(curve[..., :-1]).any():
            curves[:, by_horizon] = scaled_curve(curve, p)
        else:
            curves[:, by_horizon] = _joined(curve, p, [tasks[column].curve_days for column in by_horizon])
    return Prediction(
        torch.from_numpy(probability),
        None if prediction.curve is None else torch.from_numpy(curves),
        None if interval is None else torch.from_numpy(interval),
        prediction.value,
    )


def _joined(curve: np.ndarray, probability: np.ndarray, days: Sequence[Sequence[float]]) -> np.ndarray:
    """(N, K, H) one curve through the probabilities at K rising horizons, at the days of each.

    Args:
        curve: (N, K, H) of each horizon's model, whose shape is taken from the horizon before to its own.
        probability: (N, K) at the horizons.
        days: K times H.
    """
    own, target = cumulative_hazard(curve), cumulative_hazard(probability)
    start, at_start = 0.0, np.zeros((len(curve), 1))
    known_days, values = [np.zeros(1)], [at_start]
    for place, on in enumerate(np.asarray(days)):
        later = on > start
        before = _between(np.r_[0.0, on], np.pad(own[:, place], ((0, 0), (1, 0))), np.array([start]))
        rise = own[:, place, later] - before
        evenly = np.broadcast_to((on[later] - start) / (on[-1] - start), rise.shape).copy()
        share = np.divide(rise, rise[:, -1:], out=evenly, where=rise[:, -1:] > 1e-9)
        hazard = at_start + share.clip(0, 1) * (target[:, [place]] - at_start)
        known_days.append(on[later])
        values.append(hazard)
        start, at_start = on[-1], target[:, [place]]
    all_days, hazard = np.concatenate(known_days), np.concatenate(values, axis=1)
    joined = np.stack([-np.expm1(-_between(all_days, hazard, np.asarray(on))) for on in days], axis=1)
    joined[..., -1] = probability
    return joined


def _between(days: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(N, W) values (N, D) at other days, linear between their own."""
    place = np.searchsorted(days, wanted).clip(1, len(days) - 1)
    share = ((wanted - days[place - 1]) / (days[place] - days[place - 1])).clip(0, 1)
    return np.asarray(values[:, place - 1] + share * (values[:, place] - values[:, place - 1]))


def _rising(values: np.ndarray) -> np.ndarray:
    """(N, K) the nearest values that do not fall from left to right: max over i of min over j of means."""
    n, k = values.shape
    total = np.concatenate([np.zeros((n, 1)), values.cumsum(axis=1)], axis=1)
    best = np.full((n, k), -np.inf)
    for first in range(k):
        mean = (total[:, first + 1 :] - total[:, [first]]) / np.arange(1, k - first + 1)
        lowest = np.minimum.accumulate(mean[:, ::-1], axis=1)[:, ::-1]
        best[:, first:] = np.maximum(best[:, first:], lowest)
    rises = (np.diff(values, axis=1) >= 0).all(axis=1, keepdims=True)
    return np.where(rises, values, best.clip(0, 1))
