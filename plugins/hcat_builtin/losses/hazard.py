"""``hazard``: the likelihood of when the event came, or of its not having come yet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_builtin.heads.discrete_hazard import DiscreteHazardHead
from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import Outputs
from hcat_core.metrics.survival import timed


class HazardLoss:
    """Mean negative log likelihood of a ``discrete_hazard`` head over patients whose time is known.

    A bin counts for a patient who was at risk at its start and seen through it, or whose event fell in
    it; one who was lost within a bin was seen through it when more than half of it had gone by.
    """

    needs_second_view = False
    made_for = "discrete_hazard"

    def __init__(self, layout: Layout, *, head: str) -> None:
        self.head = head

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 with no known time in the batch.

        Raises:
            ValueError: for another kind of head, or a batch without targets.
        """
        module = outputs.heads[self.head]
        if not isinstance(module, DiscreteHazardHead):
            raise ValueError(f'head "{self.head}" has no hazards of intervals: use a discrete_hazard head')
        if batch.targets is None:
            raise ValueError("a supervised loss needs a batch with targets")
        known = timed(batch.targets, module.column)
        raw = outputs.raw[self.head][known]
        if not len(raw):
            return outputs.raw[self.head].sum() * 0
        time = batch.targets.time[known, module.column].unsqueeze(1)
        event = (batch.targets.event[known, module.column] == 1).unsqueeze(1)
        starts = torch.cat([torch.zeros_like(module.edges[:1]), module.edges])
        ends = torch.cat([module.edges, torch.full_like(module.edges[:1], torch.inf)])
        middle = torch.cat([(starts[:-1] + module.edges) / 2, torch.full_like(module.edges[:1], torch.inf)])
        within = (time > starts) & (time <= ends)
        counts = (time > ends) | (within & event) | (within & (time > middle))
        terms = nn.functional.binary_cross_entropy_with_logits(
            raw, (within & event).to(raw.dtype), reduction="none"
        )
        return (terms * counts).sum() / len(raw)
