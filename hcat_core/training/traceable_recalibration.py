"""Recalibration and common curves as tensor operations, for a pipeline that is exported.

The same as ``metrics/recalibration.py`` and ``metrics/horizons.py`` have for NumPy arrays. N patients, T
tasks, H steps of a curve, all in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hcat_core.layout import Task
from hcat_core.metrics.horizons import tasks_by_event
from hcat_core.metrics.recalibration import Recalibration

LEAST_HAZARD = 1e-9  # at the end of a curve, below which its shape is not known


class TraceableRecalibration(nn.Module):
    """What a run does to the estimator's probabilities and curves.

    Args:
        recalibration: of T tasks.
        tasks: T.
    """

    def __init__(self, recalibration: Recalibration, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.intercept = torch.tensor(recalibration.intercept, dtype=torch.float64)
        self.slope = torch.tensor(recalibration.slope, dtype=torch.float64)
        self.changes = recalibration != Recalibration.none(len(tasks))
        shared = [columns for columns in tasks_by_event(tasks) if len(columns) > 1]
        self.shared = [sorted(columns, key=lambda column: tasks[column].horizon) for columns in shared]
        self.days = [task.curve_days for task in tasks]

    def forward(self, probability: Tensor, curves: Tensor) -> tuple[Tensor, Tensor]:
        """Recalibrated probabilities (N, T) and curves (N, T, H), which tasks of one event share."""
        if self.changes:
            p = probability.clamp(1e-4, 1 - 1e-4)
            probability = torch.sigmoid(self.intercept + self.slope * (p / (1 - p)).log())
            curves = scaled_curve(curves, probability)
        for columns in self.shared:
            p, own = rising(probability[:, columns]), curves[:, columns]
            joined = joined_curve(own, p, [self.days[column] for column in columns])
            unknown = own[..., :-1].isnan().any()  # of any patient
            place = torch.tensor(columns)
            curves = curves.index_copy(1, place, torch.where(unknown, scaled_curve(own, p), joined))
            probability = probability.index_copy(1, place, p)
        return probability, curves


def scaled_curve(curve: Tensor, probability: Tensor) -> Tensor:
    """(N, T, H) curves whose cumulative hazard is scaled to end at probabilities (N, T)."""
    hazard, steps = _cumulative_hazard(curve), curve.shape[-1]
    evenly = (torch.arange(1, steps + 1, dtype=torch.float64) / steps).expand_as(hazard)
    share = _share(hazard, torch.where(hazard.isnan(), torch.nan, evenly))
    scaled = -torch.expm1(-share * _cumulative_hazard(probability).unsqueeze(-1))
    return torch.cat([scaled[..., :-1], probability.unsqueeze(-1)], dim=-1)


def rising(values: Tensor) -> Tensor:
    """(N, K) the nearest values that do not fall from left to right: isotonic regression."""
    k = values.shape[1]
    best = []
    for first in range(k):
        mean = values[:, first:].cumsum(dim=1) / torch.arange(1, k - first + 1)
        lowest = mean.flip(1).cummin(dim=1).values.flip(1)
        best.append(nn.functional.pad(lowest, (first, 0), value=-torch.inf))
    rises = (values.diff(dim=1) >= 0).all(dim=1, keepdim=True)
    return torch.where(rises, values, torch.stack(best).amax(dim=0).clamp(0, 1))


def joined_curve(curve: Tensor, probability: Tensor, days: Sequence[Sequence[float]]) -> Tensor:
    """(N, K, H) one curve through the probabilities (N, K) at K rising horizons, at the days of each."""
    own, target = _cumulative_hazard(curve), _cumulative_hazard(probability)
    start, at_start = 0.0, torch.zeros_like(target[:, :1])
    known_days, values = [0.0], [at_start]
    for place, on in enumerate(days):
        later = [step for step, day in enumerate(on) if day > start]
        here = [on[step] for step in later]
        before = _between([0.0, *on], nn.functional.pad(own[:, place], (1, 0)), [start])
        rise = own[:, place, later] - before
        evenly = torch.tensor([(day - start) / (on[-1] - start) for day in here], dtype=torch.float64)
        share = _share(rise, evenly.expand_as(rise))
        values.append(at_start + share.clamp(0, 1) * (target[:, [place]] - at_start))
        known_days += here
        start, at_start = on[-1], target[:, [place]]
    hazard = torch.cat(values, dim=1)
    joined = torch.stack([-torch.expm1(-_between(known_days, hazard, on)) for on in days], dim=1)
    return torch.cat([joined[..., :-1], probability.unsqueeze(-1)], dim=-1)


def _share(hazard: Tensor, otherwise: Tensor) -> Tensor:
    """(..., H) hazards over the last one; another share where that is 0 or unknown."""
    last = hazard[..., -1:]
    known = last > LEAST_HAZARD
    return torch.where(known, hazard / torch.where(known, last, 1.0), otherwise)


def _cumulative_hazard(probability: Tensor) -> Tensor:
    return -torch.log1p(-probability.clamp(0, 1 - 1e-9))


def _between(days: Sequence[float], values: Tensor, wanted: Sequence[float]) -> Tensor:
    """(N, W) values (N, D) at other days, linear between their own."""
    at, on = (torch.tensor(list(some), dtype=torch.float64) for some in (days, wanted))
    place = torch.searchsorted(at, on).clamp(1, len(days) - 1)
    share = ((on - at[place - 1]) / (at[place] - at[place - 1])).clamp(0, 1)
    return values[:, place - 1] + share * (values[:, place] - values[:, place - 1])
