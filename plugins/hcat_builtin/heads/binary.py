"""``binary``: has the event happened within the task's horizon?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_builtin.fusions.enhanced_hcat import Count, Dropout
from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import Fused, Prediction


class BinaryHead(nn.Module):
    """One logit a patient for one task (the document's ``head_surv`` and ``head_rec``).

    Args:
        layout: where the task is looked up.
        task: the task's name.
        width: H of the fused vector.
        hidden: width of the hidden layer.
        dropout: before the last layer.
        balance: weigh the rarer outcome up in the loss, by the ratio of the training counts. The
            probability is corrected for it: odds learned under weight w are w times the odds
            (King and Zeng 2001), so ``predict`` subtracts log w from the logit.
    """

    pos_weight: Tensor

    def __init__(
        self,
        layout: Layout,
        task: str,
        width: int,
        *,
        hidden: Count = 128,
        dropout: Dropout = 0.2,
        balance: bool = True,
    ) -> None:
        super().__init__()
        self.column = layout.task_names.index(task)
        self.horizon = layout.tasks[self.column].horizon_days
        self.balance = balance
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, 1)
        )
        self.register_buffer("pos_weight", torch.ones(()))

    def prepare(self, train: Cohort) -> None:
        """Take the class weight from training labels; 1 when a class is missing."""
        if train.targets is None or not self.balance:
            return
        labels = train.targets.labels[:, self.column]
        events, free = (labels == 1).sum(), (labels == 0).sum()
        if events > 0 and free > 0:
            self.pos_weight.copy_(free / events)

    def forward(self, fused: Fused) -> Tensor:
        """Logits (N,), under the class weight."""
        logits: Tensor = self.mlp(fused.pooled).squeeze(-1)
        return logits

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """Probability (N, 1) at the task's own horizon.

        Raises:
            ValueError: for any other horizon; a binary head knows one.
        """
        if horizons != (self.horizon,):
            raise ValueError(f"a binary head predicts at {self.horizon:g} days only, asked for {horizons}")
        return Prediction(torch.sigmoid(raw - self.pos_weight.log()).unsqueeze(-1))
