"""``iterative``: transformer refinements of any first imputation (the document's section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hcat_builtin.imputers.neural_blocks import (
    PerModality,
    attend_over_present,
    negative_log_likelihood,
)
from hcat_builtin.imputers.pretraining import pretrain
from hcat_core.cohort import Cohort, Layout
from hcat_core.imputation.hidden_blocks import hide_at_random
from hcat_core.interfaces import Average, FitContext, Imputation, Imputer
from hcat_core.registry.parameter_types import Count, CountOrZero, Positive


class AdvancedIterativeImputer(nn.Module):
    """Starts from a first imputer and changes missing cells only, step by step.

    Each step is a transformer layer over one token a modality, made of its cells as they stand and of how
    sure they are. It gives a change of the cells, a confidence (N, M) that scales it, and a change of the
    log standard deviation, trained by likelihood on hidden blocks: the uncertainty shrinks where it is
    earned, and nowhere else. All changes start at zero, so an untrained refinement is the first imputer.

    Args:
        layout: modalities and widths.
        first: the imputer to start from.
        n_iterations: refinements.
        hidden: width of the network; a multiple of ``n_heads``.
        n_heads: attention heads.
        fit_epochs: of fitting alone, before the predictor; 0 leaves it all to the joint training.
        frozen: keep what was fitted when the predictor trains.
        lr: of fitting alone.
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
        self.fit_epochs = fit_epochs
        self.frozen = frozen
        self.lr = lr
        m = len(layout.widths)
        self.embed = nn.ModuleList(nn.Linear(width, hidden) for width in layout.widths)
        self.state = nn.Linear(2, hidden)
        self.position = nn.Parameter(torch.randn(m, hidden) * 0.02)
        self.steps = nn.ModuleList(attend_over_present(hidden, n_heads) for _ in range(n_iterations))
        self.change = nn.ModuleList(PerModality(layout, hidden, zero=True) for _ in range(n_iterations))
        self.log_std_change = nn.ModuleList(
            PerModality(layout, hidden, zero=True) for _ in range(n_iterations)
        )
        self.confidence = nn.ModuleList(nn.Linear(hidden, 1) for _ in range(n_iterations))
        if frozen:
            self.requires_grad_(False)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit the first imputer, then the refinements for ``fit_epochs``."""
        self.first.fit(train, validation, context)
        pretrain(self, train, validation, context, epochs=self.fit_epochs, lr=self.lr)

    def forward(self, batch: Cohort) -> Imputation:
        """Fill every gap; in training also a loss for each step, and the first imputer's own."""
        losses: dict[str, Average] = {}
        if self.training and self.position.requires_grad:
            masked, hide = hide_at_random(batch)
            start = self.first(masked)
            # Whoever cannot fill a block is not refined there, and not blamed for it.
            where = batch.measured & hide.unsqueeze(-1) & start.filled
            for number, (cells, log_std, _) in enumerate(self._refine(masked, start), start=1):
                term = negative_log_likelihood(batch.emb, cells, log_std, where)
                losses[f"step_{number}"] = Average(term.total / len(self.steps), term.count)
            losses.update(start.losses)
        start = self._quietly(batch)
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
        return torch.stack([c for _, _, c in self._refine(batch, self._quietly(batch))])

    def _quietly(self, batch: Cohort) -> Imputation:
        """The first imputation without its losses: they were taken on the masked batch."""
        if not isinstance(self.first, nn.Module) or not self.first.training:
            return self.first(batch)
        self.first.eval()
        try:
            imputation: Imputation = self.first(batch)
        finally:
            self.first.train()
        return imputation

    def _refine(self, batch: Cohort, start: Imputation) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Cells, log standard deviations and confidence after each step."""
        cells = start.emb
        filled = start.filled
        log_std = start.std.clamp_min(1e-2).log()
        share_filled = filled.sum(dim=2) / self.cells.to(filled.device).sum(dim=1)
        after = []
        for number, layer in enumerate(self.steps):
            doubt = (log_std * filled).sum(dim=2) / filled.sum(dim=2).clamp_min(1)
            tokens = torch.stack(
                [
                    embed(cells[:, column, :width])
                    for column, (embed, width) in enumerate(zip(self.embed, self.widths, strict=True))
                ],
                dim=1,
            )
            tokens = tokens + self.position + self.state(torch.stack([doubt, share_filled], dim=-1))
            tokens = layer(tokens)
            confidence = torch.sigmoid(self.confidence[number](tokens))
            cells = torch.where(filled, cells + confidence * self.change[number](tokens), cells)
            log_std = log_std + self.log_std_change[number](tokens)
            after.append((cells, log_std.clamp(-5.0, 2.0), confidence.squeeze(-1)))
        return after

    def state_dict(self, *arguments: Any, **keywords: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """The network's tensors, and those of a first imputer that is no network."""
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
        own = {name: t for name, t in state.items() if not name.startswith("first.")}
        self.first.load_state_dict(
            {n.removeprefix("first."): t for n, t in state.items() if n.startswith("first.")}
        )
        return super().load_state_dict(own, *arguments, **keywords)
