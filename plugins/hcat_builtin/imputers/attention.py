"""``attention``: each modality asks the present ones what its cells would have been."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_builtin.imputers.neural_blocks import (
    MultiScaleEncoder,
    PerModality,
    bounded,
    negative_log_likelihood,
)
from hcat_builtin.imputers.pretraining import pretrain
from hcat_core.cohort import Cohort, Layout
from hcat_core.imputation.hidden_blocks import hide_at_random
from hcat_core.interfaces import Average, FitContext, Imputation
from hcat_core.registry.parameter_types import Count, CountOrZero, Fraction, Positive


class AttentionImputer(nn.Module):
    """A learned query for each modality attends over the tokens of those that are present.

    It answers with mean and log-variance of each cell, trained by likelihood on blocks that are hidden
    as they are missing in the cohort.

    Args:
        layout: modalities and widths.
        hidden: width of the network; a multiple of 4 and of ``n_heads``.
        n_heads: attention heads.
        n_layers: of attention.
        dropout: in the attention layers, while training.
        fit_epochs: of fitting alone, before the predictor; 0 leaves it all to the joint training.
        frozen: keep what was fitted when the predictor trains.
        lr: of fitting alone.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        hidden: Count = 128,
        n_heads: Count = 4,
        n_layers: Count = 2,
        dropout: Fraction = 0.1,
        fit_epochs: CountOrZero = 0,
        frozen: bool = False,
        lr: Positive = 2e-3,
    ) -> None:
        super().__init__()
        if hidden % 4 or hidden % n_heads:
            raise ValueError(f"hidden = {hidden} must be a multiple of 4 and of n_heads = {n_heads}")
        self.cells = layout.cells
        self.fit_epochs = fit_epochs
        self.frozen = frozen
        self.lr = lr
        self.encoder = MultiScaleEncoder(layout, hidden)
        self.query = nn.Parameter(torch.randn(len(layout.widths), hidden) * 0.02)
        # Someone to attend to, also for who has a single modality and asks from within it.
        self.nothing = nn.Parameter(torch.zeros(1, 1, hidden))
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                hidden,
                n_heads,
                dim_feedforward=2 * hidden,
                dropout=dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(hidden)
        self.mean = PerModality(layout, hidden)
        self.log_std = PerModality(layout, hidden, zero=True)
        self.requires_grad_(not frozen)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit alone for ``fit_epochs``, and freeze where the recipe says so."""
        pretrain(self, train, validation, context, epochs=self.fit_epochs, lr=self.lr)

    def forward(self, batch: Cohort) -> Imputation:
        """Fill every gap; in training also the loss ``hidden``."""
        losses: dict[str, Average] = {}
        if self.training and self.query.requires_grad:
            masked, hide = hide_at_random(batch)
            mean, log_std = self._answer(masked)
            where = batch.measured & hide.unsqueeze(-1)
            losses["hidden"] = negative_log_likelihood(batch.emb, mean, log_std, where)
        mean, log_std = self._answer(batch)
        filled = ~batch.measured & self.cells.to(batch.emb.device)
        return Imputation(
            emb=torch.where(filled, mean, batch.emb),
            std=torch.where(filled, log_std.exp(), 0.0),
            filled=filled,
            losses=losses,
        )

    def _answer(self, batch: Cohort) -> tuple[Tensor, Tensor]:
        n = len(batch.present)
        memory = torch.cat([self.encoder(batch), self.nothing.expand(n, -1, -1)], dim=1)
        absent = nn.functional.pad(~batch.present, (0, 1), value=False)
        tokens = self.query.expand(n, -1, -1)
        for layer in self.layers:
            tokens = layer(tokens, memory, memory_key_padding_mask=absent)
        tokens = self.norm(tokens)
        return self.mean(tokens), bounded(self.log_std(tokens))
