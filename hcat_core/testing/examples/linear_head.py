"""A head: one logit per patient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Fused, Prediction
from hcat_core.layout import Layout


class LinearHead(nn.Module):
    """One logit per patient, linear in the fused vector.

    Args:
        layout: where the task is looked up.
        task: the task's name.
        width: of the fused vector.
    """

    def __init__(self, layout: Layout, task: str, width: int) -> None:
        super().__init__()
        self.column = layout.task_names.index(task)
        self.register_buffer("pos_weight", torch.ones(()))
        self.linear = nn.Linear(width, 1)

    def prepare(self, train: Cohort) -> None:
        """Take nothing from the training targets."""

    def forward(self, fused: Fused) -> Tensor:
        """(N,) logits."""
        logits: Tensor = self.linear(fused.pooled).squeeze(-1)
        return logits

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """(N, 1) probabilities at the task's horizon; a head without times has no curve."""
        return Prediction(torch.sigmoid(raw).unsqueeze(-1))
