"""What the neural imputers share: encoders at several scales, decoders, the Gaussian likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import Average

LOG_STD_RANGE = (-4.0, 1.5)  # of standardised cells: never certain, never wilder than any prior


class MultiScaleEncoder(nn.Module):
    """One token a modality, from its cells at widths h, h/2 and h/4: (N, M, D) -> (N, M, h).

    A cell that was not measured is a learned value, and what lies in its slot is never looked at.
    """

    def __init__(self, layout: Layout, hidden: int) -> None:
        super().__init__()
        self.widths = layout.widths
        self.gap = nn.Parameter(torch.zeros(len(layout.widths), layout.widest))
        self.position = nn.Parameter(torch.randn(len(layout.widths), hidden) * 0.02)
        scales = (hidden, hidden // 2, hidden // 4)
        self.scales = nn.ModuleList(
            nn.ModuleList(
                nn.Sequential(nn.Linear(before, after), nn.LayerNorm(after), nn.GELU())
                for before, after in zip((width, *scales[:-1]), scales, strict=True)
            )
            for width in layout.widths
        )
        self.join = nn.ModuleList(nn.Linear(sum(scales), hidden) for _ in layout.widths)

    def forward(self, batch: Cohort) -> Tensor:
        """Tokens of every modality; those of absent ones are to be masked by the caller."""
        cells = torch.where(batch.measured, batch.emb, self.gap)
        tokens = []
        for column, width in enumerate(self.widths):
            x = cells[:, column, :width]
            at_scales = []
            for scale in self.scales[column]:  # type: ignore[attr-defined]
                x = scale(x)
                at_scales.append(x)
            tokens.append(self.join[column](torch.cat(at_scales, dim=1)))
        return torch.stack(tokens, dim=1) + self.position


class PerModality(nn.Module):
    """A linear map of its own for each modality: (N, M, h) -> (N, M, D), 0 on padding."""

    def __init__(self, layout: Layout, hidden: int, *, zero: bool = False) -> None:
        super().__init__()
        self.widest = layout.widest
        self.maps = nn.ModuleList(nn.Linear(hidden, width) for width in layout.widths)
        if zero:
            for linear in self.maps:
                nn.init.zeros_(linear.weight)  # type: ignore[arg-type]
                nn.init.zeros_(linear.bias)  # type: ignore[arg-type]

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply each modality's map to its token."""
        parts = []
        for column, linear in enumerate(self.maps):
            cells = linear(tokens[:, column])
            padding = self.widest - cells.shape[1]
            parts.append(nn.functional.pad(cells, (0, padding)) if padding else cells)
        return torch.stack(parts, dim=1)


def attend_over_present(hidden: int, n_heads: int) -> nn.TransformerEncoderLayer:
    """Self-attention over modality tokens; the caller masks the absent ones."""
    return nn.TransformerEncoderLayer(
        hidden,
        n_heads,
        dim_feedforward=2 * hidden,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )


def negative_log_likelihood(truth: Tensor, mean: Tensor, log_std: Tensor, where: Tensor) -> Average:
    """Mean over the cells ``where`` of -log N(truth; mean, std), in nats a cell."""
    z = (truth - mean) * torch.exp(-log_std)
    cells = 0.5 * z.square() + log_std + 0.5 * math.log(2 * math.pi)
    return Average((cells * where).sum(), where.sum())


def bounded(log_std: Tensor) -> Tensor:
    """Keep a log standard deviation within ``LOG_STD_RANGE``, with a gradient everywhere inside."""
    low, high = LOG_STD_RANGE
    return low + (high - low) * torch.sigmoid((log_std - (low + high) / 2) * 4 / (high - low))
