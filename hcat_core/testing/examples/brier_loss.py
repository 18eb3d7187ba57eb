"""A loss of binary heads."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import BinaryLogitHead, Outputs
from hcat_core.layout import Layout


class BrierLoss:
    """The squared error of a binary head's probability.

    Args:
        layout: not used; every loss receives it.
        head: the head to train.
    """

    needs_second_view = False

    def __init__(self, layout: Layout, *, head: str) -> None:
        self.head = head

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """The mean over patients with a known outcome; 0, with a gradient, where there is none."""
        assert batch.targets is not None
        raw = outputs.raw[self.head]
        head = cast(BinaryLogitHead, outputs.heads[self.head])
        labels = batch.targets.labels[:, head.column]
        known = labels >= 0
        if not known.any():
            return raw.sum() * 0
        return (torch.sigmoid(raw[known]) - labels[known].float()).square().mean()
