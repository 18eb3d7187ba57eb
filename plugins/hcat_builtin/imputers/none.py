"""``none``: fill nothing. The arm that every imputer has to beat."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import FitContext, Imputation


class NoImputer:
    """Leaves every gap unfilled: the fusion then uses a learned token for each missing modality.

    Gaps inside a present modality are not filled either, nor quietly set to the mean; the fusion
    sees which cells they are.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Nothing to learn."""

    def __call__(self, batch: Cohort) -> Imputation:
        """The batch as it is."""
        return Imputation(
            emb=batch.emb,
            std=torch.zeros_like(batch.emb),
            filled=torch.zeros_like(batch.measured),
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Empty."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to restore."""
