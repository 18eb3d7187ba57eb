"""``none``: fills nothing. Every imputer is compared with it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.layout import Layout


class NoImputer:
    """Leaves every gap unfilled; the fusion then uses a learned token for each missing modality.

    Gaps within a present modality are left unfilled too. They are not set to the mean, and the fusion
    receives which cells they are.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Do nothing; there is nothing to learn."""

    def __call__(self, batch: Cohort) -> Imputation:
        """The batch unchanged, with no cell filled."""
        return Imputation(
            emb=batch.emb,
            std=torch.zeros_like(batch.emb),
            filled=torch.zeros_like(batch.measured),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Empty."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Do nothing; there is nothing to restore."""
