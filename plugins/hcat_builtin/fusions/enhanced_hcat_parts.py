"""The layers of ``EnhancedHCAT``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_core.training.common_random import dropout_is_common


class ByteDropout(nn.Dropout):
    """Dropout that draws eight random bits per element, because on a CPU drawing takes most of its time.

    The rate is rounded to a multiple of 1/256. Elements that are not dropped are scaled by the rounded
    rate, so that the mean is exact.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Same shape as the input."""
        if not self.training or self.p == 0 or input.device.type != "cpu" or dropout_is_common():
            return super().forward(input)
        threshold = max(1, round((1 - self.p) * 256))
        words = torch.empty((input.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        keep = words.view(torch.uint8)[: input.numel()].view(input.shape) < threshold
        return input * keep.to(input.dtype).mul_(256 / threshold)


class ModalityPositionalEncoding(nn.Module):
    """Adds a learned embedding per modality: (N, M, H) -> (N, M, H)."""

    def __init__(self, n_modalities: int, d_model: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(n_modalities, d_model) * 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Add each modality's embedding to its token."""
        return tokens + self.embedding


class UncertaintyWeighting(nn.Module):
    """The weight of each modality, in (0, 1]: 1 where measured, less where it is imputed with uncertainty.

    A missing modality's weight is a function of the imputer's predictive standard deviation, in units of
    the training standard deviation. It is never a function of a quality score, which a missing modality
    does not have (``docs/explanation/failure-modes.md``). The function is
    ``sigmoid(offset_m - slope_m * mean log variance)`` with ``slope_m > 0``: how fast the weight falls with
    uncertainty is learned, but it cannot rise.
    """

    def __init__(self, n_modalities: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(n_modalities))
        self.raw_slope = nn.Parameter(torch.zeros(n_modalities))

    def forward(self, std: Tensor, filled: Tensor, present: Tensor, imputed: Tensor) -> Tensor:
        """(N, M, D) std -> (N, M) weight; a block that was not filled has the weight of std 1."""
        log_variance = 2 * std.clamp(min=1e-3).log() * filled
        mean = log_variance.sum(dim=2) / filled.sum(dim=2).clamp(min=1)
        slope = nn.functional.softplus(self.raw_slope)
        weight = torch.sigmoid(self.offset - slope * mean * imputed)
        return torch.where(present, 1.0, weight)


class QualityGate(nn.Module):
    """Scales each token by a learned function of its content and its quality.

    ``quality`` is the reader's score for a measured modality and the confidence for a missing one.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        hidden = max(8, d_model // 8)
        self.content = nn.Linear(d_model, hidden)
        self.quality = nn.Linear(1, hidden, bias=False)
        self.gate = nn.Linear(hidden, 1)
        # The gate starts nearly open, because at one half it would halve every gradient that passes it.
        nn.init.constant_(self.gate.bias, 2.0)

    def forward(self, tokens: Tensor, quality: Tensor) -> Tensor:
        """(N, M, H) tokens and (N, M) quality -> gated tokens (N, M, H)."""
        hidden = torch.tanh(self.content(tokens) + self.quality(quality.unsqueeze(-1)))
        return tokens * torch.sigmoid(self.gate(hidden))


class SemanticProjection(nn.Module):
    """The branch of a single modality: a residual feed-forward block, (N, 1, H) -> (N, 1, H)."""

    def __init__(self, d_model: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.block = nn.Sequential(
            nn.Linear(d_model, 2 * d_model),
            nn.GELU(),
            ByteDropout(dropout),
            nn.Linear(2 * d_model, d_model),
            ByteDropout(dropout),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Refine the one token of the branch."""
        refined: Tensor = tokens + self.block(self.norm(tokens))
        return refined


class AttentionPooling(nn.Module):
    """Attention-weighted mean of tokens (Ilse et al. 2018, eq. 8, without the gate).

    ``log_weight`` (N, K) is added to the scores, which multiplies each token's share by its weight.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        hidden = max(8, d_model // 4)
        # The score has no bias, because the softmax would cancel it.
        self.score = nn.Sequential(nn.Linear(d_model, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))

    def forward(self, tokens: Tensor, log_weight: Tensor) -> tuple[Tensor, Tensor]:
        """(N, K, H) -> pooled (N, H) and the weights (N, K), which sum to 1."""
        weights = torch.softmax(self.score(tokens).squeeze(-1) + log_weight, dim=1)
        return (weights.unsqueeze(1) @ tokens).squeeze(1), weights


class CrossModalFusion(nn.Module):
    """Refines the pooled vectors by attention over all tokens, and joins them into one."""

    def __init__(self, d_model: int, n_heads: int, n_pooled: int, dropout: float) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(d_model)
        self.attention = nn.MultiheadAttention(d_model, n_heads, dropout=dropout, batch_first=True)
        self.refine = SemanticProjection(d_model, dropout)
        self.join = nn.Linear(n_pooled * d_model, d_model)
        self.norm = nn.LayerNorm(d_model)

    def forward(self, pooled: Tensor, tokens: Tensor) -> Tensor:
        """(N, B, H) pooled vectors and (N, M, H) tokens -> (N, H)."""
        attended, _ = self.attention(self.norm_query(pooled), tokens, tokens, need_weights=False)
        refined = self.refine(pooled + attended)
        joined: Tensor = self.norm(self.join(refined.flatten(1)))
        return joined
