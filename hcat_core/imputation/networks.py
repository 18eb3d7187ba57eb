"""Networks that neural imputers are made of: one token per modality, from cells and back to cells."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.layout import Layout


class ModalityLinear(nn.Module):
    """A linear map of its own for each modality, computed in one product: (N, M, a) -> (N, M, b).

    Args:
        modalities: M.
        before: a.
        after: b.
        zero: start with every output 0.
    """

    def __init__(self, modalities: int, before: int, after: int, *, zero: bool = False) -> None:
        super().__init__()
        bound = before**-0.5
        self.weight = nn.Parameter(torch.empty(modalities, before, after).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(modalities, 1, after).uniform_(-bound, bound))
        if zero:
            nn.init.zeros_(self.weight)
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """The map of each modality's row."""
        return torch.baddbmm(self.bias, x.transpose(0, 1), self.weight).transpose(0, 1)


class MultiScaleEncoder(nn.Module):
    """Encodes each modality as one token, from its cells at widths h, h/2 and h/4: (N, M, D) -> (N, M, h).

    A cell that was not measured enters as a learned value; what its slot in ``emb`` holds is never used.

    Args:
        layout: modalities and widths.
        hidden: h, a multiple of 4.
    """

    padding: Tensor

    def __init__(self, layout: Layout, hidden: int) -> None:
        super().__init__()
        modalities = len(layout.widths)
        self.gap = nn.Parameter(torch.zeros(modalities, layout.widest))
        self.register_buffer("padding", ~layout.cells, persistent=False)
        self.position = nn.Parameter(torch.randn(modalities, hidden) * 0.02)
        scales = (hidden, hidden // 2, hidden // 4)
        self.scales = nn.ModuleList(
            nn.Sequential(
                ModalityLinear(modalities, before, after),
                nn.LayerNorm(after, elementwise_affine=False),
                nn.GELU(),
            )
            for before, after in zip((layout.widest, *scales[:-1]), scales, strict=True)
        )
        self.join = ModalityLinear(modalities, sum(scales), hidden)

    def forward(self, batch: Cohort) -> Tensor:
        """Tokens (N, M, h) of all modalities; the caller masks those of absent ones."""
        x = torch.where(batch.measured, batch.emb, self.gap).masked_fill(self.padding, 0.0)
        at_scales = []
        for scale in self.scales:
            x = scale(x)
            at_scales.append(x)
        tokens: Tensor = self.join(torch.cat(at_scales, dim=2))
        return tokens + self.position


class ModalityDecoder(nn.Module):
    """Maps each modality's token to its cells, by a linear map per modality: (N, M, h) -> (N, M, D).

    Padding is 0.

    Args:
        layout: modalities and widths.
        hidden: h, the width of tokens.
        zero: start with every output 0. A correction decoded like this changes nothing until it is
            trained, so that a network starts as what it corrects.
    """

    padding: Tensor

    def __init__(self, layout: Layout, hidden: int, *, zero: bool = False) -> None:
        super().__init__()
        self.map = ModalityLinear(len(layout.widths), hidden, layout.widest, zero=zero)
        self.register_buffer("padding", ~layout.cells, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Decode tokens (N, M, h) to cells (N, M, D)."""
        return torch.masked_fill(self.map(tokens), self.padding, 0.0)


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


class ResidualBlock(nn.Module):
    """Adds to its input (..., h) a small network of it.

    Args:
        hidden: h.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, hidden)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The input plus its change."""
        y: Tensor = x + self.change(x)
        return y
