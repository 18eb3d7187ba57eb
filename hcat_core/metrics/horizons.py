"""Several horizons of one event come from one curve: no one is likelier to die by 3 years than by 5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import CURVE_STEPS, Task
from hcat_core.interfaces import Prediction


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

    Where they do not, as models or recalibrations of single horizons may have it, they are pooled: the
    rising curve that is nearest in squares (isotonic regression, Brunk 1955). Ends of intervals are pooled
    likewise, which keeps the probability between them.

    Args:
        prediction: of N patients and T tasks.
        tasks: T.
    """
    shared = [columns for columns in tasks_by_event(tasks) if len(columns) > 1]
    if not shared:
        return prediction
    probability = prediction.event_probability.clone()
    curve = None if prediction.curve is None else prediction.curve.clone()
    interval = None if prediction.interval is None else prediction.interval.clone()
    for columns in shared:
        by_horizon = sorted(columns, key=lambda column: tasks[column].horizon_days)
        for end in range(2) if interval is not None else ():
            assert interval is not None
            interval[:, by_horizon, end] = _rising(interval[:, by_horizon, end])
        if curve is None or bool(curve[:, by_horizon].isnan().any()):
            probability[:, by_horizon] = _rising(probability[:, by_horizon])
            continue
        days = torch.tensor([tasks[column].curve_days for column in by_horizon]).flatten()
        order = torch.argsort(days, stable=True)
        points = curve[:, by_horizon].flatten(1)
        points[:, order] = _rising(points[:, order])
        curve[:, by_horizon] = points.unflatten(1, (len(by_horizon), CURVE_STEPS))
        probability[:, by_horizon] = curve[:, by_horizon, -1].to(probability.dtype)
    return replace(prediction, event_probability=probability, curve=curve, interval=interval)


def _rising(values: Tensor) -> Tensor:
    """(N, K) the nearest values that do not fall from left to right: max over i of min over j of means."""
    n, k = values.shape
    if not n or bool((values.diff(dim=1) >= 0).all()):
        return values
    x = values.double().numpy()
    total = np.concatenate([np.zeros((n, 1)), x.cumsum(axis=1)], axis=1)
    best = np.full((n, k), -np.inf)
    for first in range(k):
        mean = (total[:, first + 1 :] - total[:, [first]]) / np.arange(1, k - first + 1)
        lowest = np.minimum.accumulate(mean[:, ::-1], axis=1)[:, ::-1]
        best[:, first:] = np.maximum(best[:, first:], lowest)
    return torch.from_numpy(best).to(values.dtype)
