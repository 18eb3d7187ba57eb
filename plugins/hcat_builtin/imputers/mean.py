"""``mean``: fills each missing cell with its training mean."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.layout import Layout
from hcat_core.storage.tensor_shapes import refuse_other_shapes


class MeanImputer:
    """Fills a missing cell with the mean of that feature over the training patients who have it.

    ``std`` is the feature's standard deviation over those patients, the spread of a forecast that uses
    nothing else. A feature that no training patient has is filled with 0 at std 1, mean and standard
    deviation of standardised data.
    """

    def __init__(self, layout: Layout) -> None:
        self.cells = layout.cells
        self.mean = torch.zeros(self.cells.shape)
        self.spread = torch.ones(self.cells.shape)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Compute mean and standard deviation per feature from ``train`` alone."""
        count = train.measured.sum(dim=0)
        seen = count > 0
        mean = train.emb.double().sum(dim=0) / count.clamp(min=1)
        squares = ((train.emb.double() - mean).square() * train.measured).sum(dim=0)
        self.mean = torch.where(seen, mean, 0.0).float()
        self.spread = torch.where(seen, (squares / count.clamp(min=1)).sqrt(), 1.0).float()

    def __call__(self, batch: Cohort) -> Imputation:
        """Fill every gap of the batch."""
        device = batch.emb.device
        filled = ~batch.measured & self.cells.to(device)
        return Imputation(
            emb=torch.where(filled, self.mean.to(device), batch.emb),
            std=torch.where(filled, self.spread.to(device), torch.zeros_like(batch.emb)),
            filled=filled,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Mean and standard deviation, (M, D) each."""
        return {"mean": self.mean, "spread": self.spread}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` gave.

        Raises:
            ValueError: for tensors of other shapes.
        """
        shape = tuple(self.cells.shape)
        refuse_other_shapes(state, {"mean": shape, "spread": shape})
        self.mean, self.spread = state["mean"].cpu(), state["spread"].cpu()
