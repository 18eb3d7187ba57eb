"""90 % intervals of predicted numbers, from how far held-out patients' values were from their predictions.

Split conformal prediction (Lei et al. 2018): of patients like those held out, nine of ten have a value
within the interval, whatever the model is. Where a model says itself how uncertain each patient's value is,
that is kept, and multiplied by what makes it hold (locally weighted, section 5.2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from hcat_core.interfaces import Prediction
from hcat_core.metrics.resampling import shares_of_groups

LEVEL = 0.9
HALF_WIDTH = 1.6448536269514722  # of the interval of a normal distribution, in standard deviations


@dataclass(frozen=True)
class ValueIntervals:
    """By how much the half-width of each task's interval is multiplied.

    Attributes:
        factor: T; the half-width itself where the model gives none; None for tasks that are no numbers, and
            where too few values of held-out patients are known (nine are needed).
        numbers: columns of the tasks that are numbers.
    """

    factor: tuple[float | None, ...]
    numbers: tuple[int, ...] = ()

    @classmethod
    def none(cls, tasks: int) -> ValueIntervals:
        """Leave intervals as they are."""
        return cls((None,) * tasks)

    @classmethod
    def fit(
        cls,
        prediction: Prediction,
        values: np.ndarray,
        numbers: tuple[int, ...],
        groups: np.ndarray | None = None,
    ) -> ValueIntervals:
        """Fit on N patients that the model was not trained on.

        Args:
            prediction: of these patients.
            values: (N, T) their values; NaN where unknown.
            numbers: columns of the tasks that are numbers.
            groups: (N,) numbers of groups, which count as one patient each.
        """
        half = _half_widths(prediction)
        factor: list[float | None] = [None] * values.shape[1]
        for column in numbers:
            score = np.abs(values[:, column] - prediction.values[:, column]) / half[:, column]
            known = np.isfinite(score)
            share = shares_of_groups(known, groups)[known]
            factor[column] = covering(score[known], share)
        return cls(tuple(factor), numbers)

    def apply(self, prediction: Prediction) -> Prediction:
        """The prediction with an interval for each number; without one where the factor is not known."""
        if not self.numbers:
            return prediction
        half, value = _half_widths(prediction), prediction.values
        ends = np.stack([prediction.low, prediction.high], axis=-1)
        for column in self.numbers:
            width = (self.factor[column] or np.nan) * half[:, column]
            ends[:, column] = np.stack([value[:, column] - width, value[:, column] + width], axis=-1)
        return replace(prediction, interval=torch.from_numpy(ends))


def covering(score: np.ndarray, share: np.ndarray) -> float | None:
    """The smallest score that covers ``LEVEL`` of further patients; None where these are too few to know.

    Args:
        score: (n,) how far each patient's value is from its prediction.
        share: (n,) how much each patient counts, in patients.
    """
    order = np.argsort(score)
    # The patient to be predicted is one more, and may be further away than all.
    below = share[order].cumsum() / (share.sum() + 1)
    enough = np.flatnonzero(below >= LEVEL - 1e-9)
    return max(float(score[order][enough[0]]), 1e-12) if len(enough) else None


def _half_widths(prediction: Prediction) -> np.ndarray:
    """(N, T) half of the model's own intervals; 1 where it gives none."""
    half = (prediction.high - prediction.low) / 2
    return np.where(np.isfinite(half) & (half > 0), half, 1.0)
