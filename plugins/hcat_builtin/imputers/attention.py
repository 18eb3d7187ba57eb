"""``attention``: each modality's cells are predicted by attention over the present modalities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort, Layout
from hcat_core.imputation.gaussian_likelihood import bounded_log_std, negative_log_likelihood
from hcat_core.imputation.hidden_blocks import hide_at_random
from hcat_core.imputation.networks import ModalityDecoder, MultiScaleEncoder
from hcat_core.imputation.pretraining import Pretraining, pretrain
from hcat_core.interfaces import Average, FitContext, Imputation
from hcat_core.registry.parameter_types import Count, CountOrZero, Fraction, Positive


class AttentionImputer(nn.Module):
    """Imputes each modality by a learned query that attends over the tokens of the present modalities.

    The result is decoded to mean and log standard deviation of each cell. Both are trained by likelihood
    on hidden blocks, which are hidden in the patterns in which the cohort's blocks are missing.

    Args:
        layout: modalities and widths.
        hidden: width of the network; a multiple of 4 and of ``n_heads``.
        n_heads: attention heads.
        n_layers: attention layers.
        dropout: in the attention layers, while training.
        fit_epochs: epochs of pre-training; 0 leaves all training to the joint one with the predictor.
        frozen: keep the pre-trained weights as they are while the predictor trains.
        lr: highest learning rate of pre-training.
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
        self.pretraining = Pretraining(epochs=fit_epochs, lr=lr, frozen=frozen)
        self.encoder = MultiScaleEncoder(layout, hidden)
        self.query = nn.Parameter(torch.randn(len(layout.widths), hidden) * 0.02)
        # A token that is always there, so that attention has something to attend to for every patient.
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
        self.mean = ModalityDecoder(layout, hidden)
        self.log_std = ModalityDecoder(layout, hidden, zero=True)
        self.requires_grad_(not frozen)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Pre-train for ``fit_epochs``; freeze the weights where ``frozen`` is set."""
        pretrain(self, train, validation, context, self.pretraining)

    def forward(self, batch: Cohort) -> Imputation:
        """Fill every gap; in training mode also compute the loss ``hidden``."""
        losses: dict[str, Average] = {}
        if self.training and self.query.requires_grad:
            masked, hide = hide_at_random(batch)
            mean, log_std = self._predict(masked)
            where = batch.measured & hide.unsqueeze(-1)
            losses["hidden"] = negative_log_likelihood(batch.emb, mean, log_std, where)
        mean, log_std = self._predict(batch)
        filled = ~batch.measured & self.cells.to(batch.emb.device)
        return Imputation(
            emb=torch.where(filled, mean, batch.emb),
            std=torch.where(filled, log_std.exp(), 0.0),
            filled=filled,
            losses=losses,
        )

    def _predict(self, batch: Cohort) -> tuple[Tensor, Tensor]:
        """(N, M, D) mean and log standard deviation of every cell."""
        n = len(batch.present)
        memory = torch.cat([self.encoder(batch), self.nothing.expand(n, -1, -1)], dim=1)
        absent = nn.functional.pad(~batch.present, (0, 1), value=False)
        tokens = self.query.expand(n, -1, -1)
        for layer in self.layers:
            tokens = layer(tokens, memory, memory_key_padding_mask=absent)
        tokens = self.norm(tokens)
        return self.mean(tokens), bounded_log_std(self.log_std(tokens))
