"""An imputer without a network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Share


class ShrunkMean:
    """Fills a gap with the training mean, shrunk towards zero.

    Args:
        layout: modalities and widths.
        shrinkage: the share by which the mean is shrunk.
    """

    def __init__(self, layout: Layout, *, shrinkage: Share = 0.1) -> None:
        self.cells = layout.cells
        self.shrinkage = shrinkage
        self.mean = torch.zeros(self.cells.shape)
        self.spread = torch.ones(self.cells.shape)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Take mean and standard deviation of each feature from the training patients."""
        count = train.measured.sum(dim=0).clamp(min=1)
        self.mean = train.emb.sum(dim=0) / count
        self.spread = (((train.emb - self.mean) ** 2 * train.measured).sum(dim=0) / count).sqrt()

    def __call__(self, batch: Cohort) -> Imputation:
        """Fill every cell that was not measured."""
        filled = ~batch.measured & self.cells
        emb = torch.where(filled, (1 - self.shrinkage) * self.mean, batch.emb)
        return Imputation(emb, self.spread * filled, filled)

    def state_dict(self) -> dict[str, Tensor]:
        """What was fitted."""
        return {"mean": self.mean, "spread": self.spread}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave."""
        self.mean, self.spread = state["mean"], state["spread"]
