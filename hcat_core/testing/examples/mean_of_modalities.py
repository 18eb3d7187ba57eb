"""A fusion: the mean of one linear token per modality."""

from __future__ import annotations

import torch
from torch import nn

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Fused, Imputation
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count


class MeanOfModalities(nn.Module):
    """Averages one linear token per modality; a missing modality has a learned token.

    Args:
        layout: modalities and widths.
        width: of the fused vector.
    """

    def __init__(self, layout: Layout, *, width: Count = 32) -> None:
        super().__init__()
        self.width = width
        self.widths = layout.widths
        self.embed = nn.ModuleList(nn.Linear(cells, width) for cells in layout.widths)
        self.missing = nn.Parameter(torch.randn(len(layout.widths), width) * 0.02)

    def forward(self, batch: Cohort, imputation: Imputation) -> Fused:
        """(N, width) of N patients; cells that are neither measured nor filled are not looked at."""
        known = batch.measured | imputation.filled
        cells = torch.where(known, imputation.emb, 0.0)
        tokens = torch.stack(
            [embed(cells[:, m, : self.widths[m]]) for m, embed in enumerate(self.embed)], dim=1
        )
        tokens = torch.where(known.any(dim=2, keepdim=True), tokens, self.missing)
        return Fused(pooled=tokens.mean(dim=1), tokens=tokens)
