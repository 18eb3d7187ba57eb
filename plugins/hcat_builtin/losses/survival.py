"""``cox`` and ``hazard``: likelihoods of event times, to which censored patients contribute."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hcat_builtin.heads.cox import CoxHead
from hcat_builtin.heads.discrete_hazard import DiscreteHazardHead
from hcat_builtin.losses.of_one_head import HeadLoss, targets_of
from hcat_core.cohort import Cohort
from hcat_core.interfaces import Outputs
from hcat_core.metrics.survival import partial_likelihood, timed


@dataclass(frozen=True)
class KnownTimes:
    """The K patients of a batch whose time is known: raw outputs, times (K,), and causes (K,)."""

    raw: Tensor
    time: Tensor
    cause: Tensor


class CoxLoss(HeadLoss):
    """Mean negative log partial likelihood (Cox 1972; Efron's ties) among the patients of a batch.

    Of a head with two causes, it is the sum of both.

    Args:
        layout: not used; every loss receives it.
        head: name of the ``cox`` head that is trained.
    """

    made_for = "cox"

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 without an event in the batch.

        Raises:
            ValueError: for another kind of head, or a batch without targets.
        """
        head = outputs.heads[self.head]
        if not isinstance(head, CoxHead):
            raise ValueError(f'head "{self.head}" has no log hazard ratio: use a cox head')
        known = known_times(outputs.raw[self.head], batch, head.column)
        causes = enumerate(known.raw.reshape(len(known.raw), head.causes).unbind(dim=1), start=1)
        terms = [partial_likelihood(raw, known.time, known.cause == cause) for cause, raw in causes]
        return torch.stack(terms).sum()


class HazardLoss(HeadLoss):
    """Mean negative log likelihood of a ``discrete_hazard`` head over patients whose time is known.

    Args:
        layout: not used; every loss receives it.
        head: name of the ``discrete_hazard`` head that is trained.
    """

    made_for = "discrete_hazard"

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 where no time of the batch is known.

        Raises:
            ValueError: for another kind of head, or a batch without targets.
        """
        head, raw = outputs.heads[self.head], outputs.raw[self.head]
        if not isinstance(head, DiscreteHazardHead):
            raise ValueError(f'head "{self.head}" has no hazards of intervals: use a discrete_hazard head')
        targets = targets_of(batch)
        known = timed(targets, head.column)
        if not known.any():
            return raw.sum() * 0
        return -head.log_likelihood(raw[known], targets[known]).mean()


def known_times(raw: Tensor, batch: Cohort, column: int) -> KnownTimes:
    """The patients that a survival loss can use.

    Args:
        raw: (N, ...) raw outputs of the head.
        batch: N patients.
        column: of the task in the targets.

    Raises:
        ValueError: for a batch without targets.
    """
    targets = targets_of(batch)
    known = timed(targets, column)
    return KnownTimes(raw[known], targets.time[known, column], targets.event[known, column])
