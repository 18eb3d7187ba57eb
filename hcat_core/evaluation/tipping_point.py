"""By how much imputed values would have to be off for a patient's decision to change: the tipping point.

A missing modality's imputed values, shifted by a number of standard deviations of the training patients,
are taken as measured; the tipping point is the smallest shift, of either sign, at which the predicted
probability is on the other side of the threshold. The farther from 0, the less a decision rests on the
assumption that values are missing at random (tipping point analysis: Yan, Lee & Li 2009; van Buuren 2018,
section 9.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.evaluation.value_of_measuring import ROWS, lacking, with_measured
from hcat_core.interfaces import Imputation
from hcat_core.metrics.recalibration import logit

FARTHEST = 3.0
STEP = 0.25  # of the grid; a change of decision over a shorter stretch may be passed over
HALVINGS = 6
ROUNDING = 1e-6  # of a logit, below which it has not moved
GRID = np.arange(0, FARTHEST + STEP / 2, STEP)


@dataclass(frozen=True)
class TippingPoints:
    """Smallest shifts of imputed values at which N patients' T decisions change, for M modalities.

    A number has no decision, and no tipping point.

    Attributes:
        shift: (N, T, M) in standard deviations of the training patients, with its sign; 0 where the imputed
            values, taken as measured, change the decision by themselves; NaN where no shift does.
        tried: (N, M) whether the modality is missing, and imputed.
    """

    shift: np.ndarray
    tried: np.ndarray


@dataclass(frozen=True)
class Decisions:
    """How N patients are decided about: their present (N, T) probabilities, and T thresholds.

    ``predict`` gives (N, T) probabilities of any patients in a single pass. Where it differs from the
    present probability, which may be a mean over samples, its movement is added on the logit scale.
    """

    predict: Callable[[Cohort], np.ndarray]
    probability: np.ndarray
    thresholds: Sequence[float]


def tipping_points(
    decisions: Decisions, cohort: Cohort, imputation: Imputation, scale: Tensor
) -> TippingPoints:
    """Compute the tipping point of every decision and missing modality.

    A grid of shifts, and then bisection between the first that changes the decision and its neighbour.

    Args:
        decisions: about the N patients.
        cohort: N patients.
        imputation: of these patients, in the cohort's units.
        scale: (M, D) standard deviations of the training patients.
    """
    n, m = cohort.present.shape
    shift = np.full((n, len(cohort.layout.tasks), m), np.nan)
    tried = torch.stack([lacking(cohort, imputation, column) for column in range(m)], dim=1)
    present = logit(decisions.predict(cohort))
    for column in range(m):
        # All shifts of some patients are one batch.
        for rows in tried[:, column].nonzero().squeeze(1).split(max(1, ROWS // len(GRID))):
            if len(rows):
                some = _Shifted(decisions, cohort, imputation, scale, present, column, rows)
                shift[rows.numpy(), :, column] = _smallest(some)
    return TippingPoints(shift, tried.numpy())


@dataclass(frozen=True)
class _Shifted:
    """Decisions about the n patients at ``rows`` with the modality at ``column`` shifted.

    ``present`` (N, T) are the logits that ``decisions.predict`` gives all patients as they are.
    """

    decisions: Decisions
    cohort: Cohort
    imputation: Imputation
    scale: Tensor
    present: np.ndarray
    column: int
    rows: Tensor

    def changed(self, shifts: np.ndarray) -> np.ndarray:
        """(S, n, T) whether decisions change with (S, n) shifts."""
        by = torch.from_numpy(shifts).float()[..., None] * self.scale[self.column]
        values = self.imputation.emb[self.rows, self.column] + by
        predicted = self.decisions.predict(with_measured(self.cohort, self.rows, self.column, values))
        place, edge = self.rows.numpy(), logit(np.array(self.decisions.thresholds))
        now = logit(self.decisions.probability[place])
        movement = logit(predicted).reshape(*shifts.shape, -1) - self.present[place]
        return np.asarray(((now + movement >= edge) != (now >= edge)) & (np.abs(movement) > ROUNDING))


def _smallest(some: _Shifted) -> np.ndarray:
    """(n, T) the smallest shifts at which decisions change, NaN where none does."""
    found = []
    for sign in (1.0, -1.0):
        changed = some.changed(np.repeat(sign * GRID[:, None], len(some.rows), axis=1))
        first = np.where(changed.any(axis=0), GRID[changed.argmax(axis=0)], np.nan)  # (n, T)
        found.append(sign * _bisected(some, sign, first))
    up, down = found
    return np.where(np.nan_to_num(up, nan=np.inf) <= np.nan_to_num(-down, nan=np.inf), up, down)


def _bisected(some: _Shifted, sign: float, first: np.ndarray) -> np.ndarray:
    """(n, T) shorter shifts that still change the decision, from the first of the grid that does."""
    low, high = np.maximum(first - STEP, 0), first
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        changed = some.changed(sign * np.nan_to_num(middle).T)  # (T, n, T)
        own = np.diagonal(changed, axis1=0, axis2=2)  # (n, T)
        low, high = np.where(own, low, middle), np.where(own, middle, high)
    return np.where(first == 0, 0.0, high)
