"""What is predicted of patients, from a head or an estimator to ``predictions.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hcat_core.layout import CURVE_STEPS


@dataclass(frozen=True)
class Prediction:
    """What is predicted of N patients, from a head or an estimator to ``predictions.csv``.

    Tensors are on the CPU. ``probability``, ``low``, ``high`` and ``curves`` are the same in float64 arrays
    for metrics and files, NaN where there is none.

    Attributes:
        event_probability: (N, T) in [0, 1], by each task's horizon; (N, H) of a head asked for H horizons.
            Those of the classes of one outcome add up to 1. NaN for a continuous task.
        curve: (N, T, 12) event probability by each of a task's ``curve_days``, the last of which is its
            horizon; NaN for a task whose risk over time is not known; None where that is so for all.
        interval: (N, T, 2), lower and upper end of the 90 % interval, or None; that of a continuous task
            is an interval of the value itself, which nine of ten patients' values lie in.
        value: (N, T) expected values of continuous tasks, in the unit of the file; NaN for tasks of other
            kinds. None where no task is continuous.
    """

    event_probability: Tensor
    curve: Tensor | None = None
    interval: Tensor | None = None
    value: Tensor | None = None

    def __getitem__(self, rows: np.ndarray | slice) -> Prediction:
        curve, interval, value = (
            None if tensor is None else tensor[rows] for tensor in (self.curve, self.interval, self.value)
        )
        return Prediction(self.event_probability[rows], curve, interval, value)

    @classmethod
    def joined(cls, parts: Sequence[Prediction]) -> Prediction:
        """The predictions of the patients of all parts, at least one, one after the other; on the CPU."""

        def join(tensors: Sequence[Tensor | None]) -> Tensor | None:
            there = [tensor.detach().cpu().double() for tensor in tensors if tensor is not None]
            return torch.cat(there) if len(there) == len(tensors) else None

        probability = torch.cat([one.event_probability.detach().cpu().double() for one in parts])
        curve, interval = join([one.curve for one in parts]), join([one.interval for one in parts])
        return cls(probability, curve, interval, join([one.value for one in parts]))

    @classmethod
    def of_estimate(
        cls,
        estimate: Tensor,
        numbers: Sequence[int],
        curve: Tensor | None = None,
        interval: Tensor | None = None,
    ) -> Prediction:
        """The prediction of what ``estimate`` gives: (N, T), of which some columns are of numbers."""
        if not numbers:
            return cls(estimate, curve, interval)
        is_number = torch.zeros(estimate.shape[1], dtype=torch.bool, device=estimate.device)
        is_number[list(numbers)] = True
        nothing = estimate.new_full((), float("nan"))
        probability = torch.where(is_number, nothing, estimate)
        return cls(probability, curve, interval, torch.where(is_number, estimate, nothing))

    @property
    def estimate(self) -> Tensor:
        """(N, T) what is predicted of each task: the probability, or of a continuous task the value."""
        if self.value is None:
            return self.event_probability
        return torch.where(self.value.isnan(), self.event_probability, self.value)

    @property
    def probability(self) -> np.ndarray:
        """(N, T) event probabilities."""
        return self.event_probability.double().numpy()

    @property
    def values(self) -> np.ndarray:
        """(N, T) expected values of continuous tasks; NaN for tasks of other kinds."""
        if self.value is None:
            return np.full(self.event_probability.shape, np.nan)
        return self.value.double().numpy()

    @property
    def low(self) -> np.ndarray:
        """(N, T) lower ends of the intervals."""
        return self._end(0)

    @property
    def high(self) -> np.ndarray:
        """(N, T) upper ends of the intervals."""
        return self._end(1)

    @property
    def curves(self) -> np.ndarray:
        """(N, T, 12) event probabilities over time; at the horizon they are always known."""
        if self.curve is not None:
            return self.curve.double().numpy()
        curves = np.full((*self.event_probability.shape, CURVE_STEPS), np.nan)
        curves[..., -1] = self.probability
        return curves

    def _end(self, side: int) -> np.ndarray:
        if self.interval is None:
            return np.full(self.event_probability.shape, np.nan)
        return self.interval[..., side].double().numpy()
