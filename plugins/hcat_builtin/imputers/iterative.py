"""``iterative``: transformer refinements of any first imputation.

Its place in Enhanced-HCAT: ``docs/reference/enhanced-hcat.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort, Layout
from hcat_core.imputation.gaussian_likelihood import negative_log_likelihood
from hcat_core.imputation.hidden_blocks import hide_at_random
from hcat_core.imputation.networks import ModalityDecoder, modality_attention
from hcat_core.imputation.pretraining import Pretraining, pretrain
from hcat_core.interfaces import Average, FitContext, Imputation, Imputer
from hcat_core.registry.parameter_types import Count, CountOrZero, Positive


class AdvancedIterativeImputer(nn.Module):
    """Starts from the imputation of another imputer and refines its missing cells in several steps.

    Each step is a transformer layer over one token per modality, made of the modality's current cells and
    their uncertainty. It gives a change of the cells, a confidence (N, M) that scales the change, and a
    change of the log standard deviation. All are trained by likelihood on hidden blocks, so that the
    uncertainty shrinks only where errors do. All changes start at zero: before training, the result is the
    first imputer's.

    Args:
        layout: modalities and widths.
        first: the imputer to start from.
        n_iterations: number of refinement steps.
        hidden: width of the network; a multiple of ``n_heads``.
        n_heads: attention heads.
        fit_epochs: epochs of pre-training; 0 leaves all training to the joint one with the predictor.
        frozen: keep the pre-trained weights as they are while the predictor trains.
        lr: highest learning rate of pre-training.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        first: Imputer,
        n_iterations: Count = 3,
        hidden: Count = 128,
        n_heads: Count = 4,
        fit_epochs: CountOrZero = 0,
        frozen: bool = False,
        lr: Positive = 1e-3,
    ) -> None:
        super().__init__()
        if hidden % n_heads:
            raise ValueError(f"hidden = {hidden} must be a multiple of n_heads = {n_heads}")
        self.cells = layout.cells
        self.widths = layout.widths
        self.first = first
        self.pretraining = Pretraining(epochs=fit_epochs, lr=lr, frozen=frozen)
        m = len(layout.widths)
        self.embed = nn.ModuleList(nn.Linear(width, hidden) for width in layout.widths)
        self.state = nn.Linear(2, hidden)
        self.position = nn.Parameter(torch.randn(m, hidden) * 0.02)
        self.steps = nn.ModuleList(modality_attention(hidden, n_heads) for _ in range(n_iterations))
        self.change = nn.ModuleList(ModalityDecoder(layout, hidden, zero=True) for _ in range(n_iterations))
        self.log_std_change = nn.ModuleList(
            ModalityDecoder(layout, hidden, zero=True) for _ in range(n_iterations)
        )
        self.confidence = nn.ModuleList(nn.Linear(hidden, 1) for _ in range(n_iterations))
        if frozen:
            self.requires_grad_(False)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit the first imputer, then pre-train the refinements for ``fit_epochs``."""
        self.first.fit(train, validation, context)
        pretrain(self, train, validation, context, self.pretraining)

    def forward(self, batch: Cohort) -> Imputation:
        """Fill every gap; in training mode also compute a loss per step and the first imputer's losses."""
        losses: dict[str, Average] = {}
        if self.training and self.position.requires_grad:
            masked, hide = hide_at_random(batch)
            start = self.first(masked)
            # A block that the first imputer leaves unfilled is not refined, so it has no loss.
            where = batch.measured & hide.unsqueeze(-1) & start.filled
            for number, (cells, log_std, _) in enumerate(self._refine(masked, start), start=1):
                term = negative_log_likelihood(batch.emb, cells, log_std, where)
                losses[f"step_{number}"] = Average(term.total / len(self.steps), term.count)
            losses.update(start.losses)
        start = self._first_without_losses(batch)
        cells, log_std, _ = self._refine(batch, start)[-1]
        filled = start.filled & self.cells.to(batch.emb.device)
        return Imputation(
            emb=torch.where(filled, cells, batch.emb),
            std=torch.where(filled, log_std.exp(), 0.0),
            filled=filled,
            losses=losses,
        )

    def confidences(self, batch: Cohort) -> Tensor:
        """(K, N, M) of each step: the share of its proposed change that was made."""
        return torch.stack([c for _, _, c in self._refine(batch, self._first_without_losses(batch))])

    def _first_without_losses(self, batch: Cohort) -> Imputation:
        """The first imputation without its losses, which were computed on the masked batch."""
        if not isinstance(self.first, nn.Module) or not self.first.training:
            return self.first(batch)
        self.first.eval()
        try:
            imputation: Imputation = self.first(batch)
        finally:
            self.first.train()
        return imputation

    def _refine(self, batch: Cohort, start: Imputation) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Cells (N, M, D), log standard deviations (N, M, D) and confidence (N, M) after each step."""
        cells = start.emb
        filled = start.filled
        log_std = start.std.clamp_min(1e-2).log()
        share_filled = filled.sum(dim=2) / self.cells.to(filled.device).sum(dim=1)
        after = []
        for number, layer in enumerate(self.steps):
            uncertainty = (log_std * filled).sum(dim=2) / filled.sum(dim=2).clamp_min(1)
            tokens = torch.stack(
                [
                    embed(cells[:, column, :width])
                    for column, (embed, width) in enumerate(zip(self.embed, self.widths, strict=True))
                ],
                dim=1,
            )
            tokens = tokens + self.position + self.state(torch.stack([uncertainty, share_filled], dim=-1))
            tokens = layer(tokens)
            confidence = torch.sigmoid(self.confidence[number](tokens))
            cells = torch.where(filled, cells + confidence * self.change[number](tokens), cells)
            log_std = log_std + self.log_std_change[number](tokens)
            after.append((cells, log_std.clamp(-5.0, 2.0), confidence.squeeze(-1)))
        return after

    def state_dict(self, *arguments: Any, **keywords: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """The network's tensors, and those of a first imputer that is not an ``nn.Module``."""
        state: dict[str, Tensor] = dict(super().state_dict(*arguments, **keywords))
        if not isinstance(self.first, nn.Module):
            state.update({f"first.{name}": t for name, t in self.first.state_dict().items()})
        return state

    def load_state_dict(  # type: ignore[override]
        self, state: Mapping[str, Tensor], *arguments: Any, **keywords: Any
    ) -> object:
        """Restore what ``state_dict`` gave."""
        if isinstance(self.first, nn.Module):
            return super().load_state_dict(state, *arguments, **keywords)
        network = {name: t for name, t in state.items() if not name.startswith("first.")}
        self.first.load_state_dict(
            {n.removeprefix("first."): t for n, t in state.items() if n.startswith("first.")}
        )
        return super().load_state_dict(network, *arguments, **keywords)
