"""Networks that neural imputers are made of: one token per modality, from cells and back to cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort, Layout


class MultiScaleEncoder(nn.Module):
    """Encodes each modality as one token, from its cells at widths h, h/2 and h/4: (N, M, D) -> (N, M, h).

    A cell that was not measured enters as a learned value; what its slot in ``emb`` holds is never used.

    Args:
        layout: modalities and widths.
        hidden: h, a multiple of 4.
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
        """Tokens (N, M, h) of all modalities; the caller masks those of absent ones."""
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


class ModalityDecoder(nn.Module):
    """Maps each modality's token to its cells, by a linear map per modality: (N, M, h) -> (N, M, D).

    Padding is 0.

    Args:
        layout: modalities and widths.
        hidden: h, the width of tokens.
        zero: start with every output 0. A correction decoded like this changes nothing until it is
            trained, so that a network starts as what it corrects.
    """

    def __init__(self, layout: Layout, hidden: int, *, zero: bool = False) -> None:
        super().__init__()
        self.widest = layout.widest
        self.maps = nn.ModuleList(nn.Linear(hidden, width) for width in layout.widths)
        if zero:
            for linear in self.maps:
                nn.init.zeros_(linear.weight)  # type: ignore[arg-type]
                nn.init.zeros_(linear.bias)  # type: ignore[arg-type]

    def forward(self, tokens: Tensor) -> Tensor:
        """Decode tokens (N, M, h) to cells (N, M, D)."""
        parts = []
        for column, linear in enumerate(self.maps):
            cells = linear(tokens[:, column])
            padding = self.widest - cells.shape[1]
            parts.append(nn.functional.pad(cells, (0, padding)) if padding else cells)
        return torch.stack(parts, dim=1)


def modality_attention(hidden: int, n_heads: int) -> nn.TransformerEncoderLayer:
    """A layer of self-attention over modality tokens (N, M, h), without dropout.

    Pass ``src_key_padding_mask=~batch.present`` for tokens that absent modalities must not influence.
    """
    return nn.TransformerEncoderLayer(
        hidden,
        n_heads,
        dim_feedforward=2 * hidden,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )
