"""``focal``: cross-entropy that dwells on the patients it still gets wrong."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_builtin.losses.binary_target import known_labels
from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import Outputs
from hcat_core.registry.parameter_types import NonNegative


class FocalLoss:
    """Mean of ``(1 - p_true) ** gamma`` times the weighted cross-entropy (Lin et al. 2017, eq. 5).

    Args:
        layout: not used; every loss is given it.
        head: whose logits.
        gamma: 0 is ``bce``.
    """

    needs_second_view = False

    def __init__(self, layout: Layout, *, head: str, gamma: NonNegative = 2.0) -> None:
        self.head = head
        self.gamma = gamma

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 with no known outcome in the batch."""
        known = known_labels(outputs, batch, self.head)
        if not len(known.labels):
            return known.logits.sum()
        entropy = nn.functional.binary_cross_entropy_with_logits(
            known.logits, known.labels, pos_weight=known.pos_weight, reduction="none"
        )
        p_true = torch.sigmoid(torch.where(known.labels == 1, known.logits, -known.logits))
        terms = known.weights * (1 - p_true) ** self.gamma * entropy
        return terms.sum() / known.weights.sum()
