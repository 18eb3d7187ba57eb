"""``cox``: the partial likelihood of a batch."""

from __future__ import annotations

from torch import Tensor

from hcat_builtin.heads.cox import CoxHead
from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import Outputs
from hcat_core.metrics.survival import partial_likelihood, timed


class CoxLoss:
    """Mean negative log partial likelihood (Cox 1972; Efron's ties) among a batch's own patients."""

    needs_second_view = False
    made_for = "cox"

    def __init__(self, layout: Layout, *, head: str) -> None:
        self.head = head

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 with no event in the batch.

        Raises:
            ValueError: for another kind of head, or a batch without targets.
        """
        module = outputs.heads[self.head]
        if not isinstance(module, CoxHead):
            raise ValueError(f'head "{self.head}" has no log hazard ratio: use a cox head')
        if batch.targets is None:
            raise ValueError("a supervised loss needs a batch with targets")
        known = timed(batch.targets, module.column)
        return partial_likelihood(
            outputs.raw[self.head][known],
            batch.targets.time[known, module.column],
            batch.targets.event[known, module.column] == 1,
        )
