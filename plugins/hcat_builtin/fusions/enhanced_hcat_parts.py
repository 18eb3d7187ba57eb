"""The layers of ``EnhancedHCAT``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_core.training.common_random import dropout_is_common

QUALITY_STEP = 0.25  # of a slope: so much less quality is a clear difference


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
    """How far each measured modality is relied on, in (0, 1): a learned function of quality and content.

    ``sigmoid(offset_m + slope_m * (quality - 1) / 0.25 + content)``: it starts almost open for blocks of
    full quality, and its few parameters can be trained with a learning rate of their own. What it gives is
    a share of the token, a bias of every attention, and the weight of the modality's evidence, none of
    which a later normalisation undoes.
    """

    def __init__(self, n_modalities: int, d_model: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.full((n_modalities,), 4.0))
        self.slope = nn.Parameter(torch.full((n_modalities,), 0.5))
        hidden = max(8, d_model // 8)
        last = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(last.weight)  # at first quality alone decides
        self.content = nn.Sequential(nn.Linear(d_model, hidden), nn.Tanh(), last)

    def forward(self, tokens: Tensor, quality: Tensor) -> Tensor:
        """(N, M, H) tokens and (N, M) quality in [0, 1] -> gates (N, M)."""
        content = self.content(tokens).squeeze(-1)
        return torch.sigmoid(self.offset + self.slope * (quality - 1) / QUALITY_STEP + content)

    def by_quality(self, quality: Tensor) -> Tensor:
        """(N, M) quality -> (N, M) gates of blocks whose content changes nothing."""
        return torch.sigmoid(self.offset + self.slope * (quality - 1) / QUALITY_STEP)


class PrincipalAxes(nn.Module):
    """Reduces the cells (N, D) of one modality to scores (N, R) on principal axes of training patients.

    Args:
        width: D.
        components: R.
    """

    axes: Tensor

    def __init__(self, width: int, components: int) -> None:
        super().__init__()
        self.register_buffer("axes", torch.eye(components, width))

    @torch.no_grad()
    def prepare(self, cells: Tensor) -> None:
        """Compute the axes from (n, D) standardised cells, 0 where not measured.

        The first score has a standard deviation of about 1; axes beyond the rank of the cells are 0.
        """
        number = min(len(self.axes), *cells.shape)
        self.axes.zero_()
        if number:
            _, scale, axes = torch.linalg.svd(
                cells.double() - cells.double().mean(dim=0), full_matrices=False
            )
            spread = (scale[0] / max(1, len(cells) - 1) ** 0.5).clamp_min(1e-6)
            largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
            self.axes[:number] = (axes * largest.sign() / spread)[:number].float()

    def forward(self, cells: Tensor) -> Tensor:
        """(N, D) -> (N, R)."""
        return cells @ self.axes.T


class FeedForward(nn.Module):
    """A feed-forward block, normalised before and added to its input: (N, K, H) -> (N, K, H)."""

    def __init__(self, d_model: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.block = nn.Sequential(
            nn.Linear(d_model, hidden),
            nn.GELU(),
            ByteDropout(dropout),
            nn.Linear(hidden, d_model),
            ByteDropout(dropout),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Refine each token by itself."""
        refined: Tensor = tokens + self.block(self.norm(tokens))
        return refined


class SemanticProjection(FeedForward):
    """The branch of a single modality: a feed-forward block, (N, 1, H) -> (N, 1, H)."""

    def __init__(self, d_model: int, dropout: float) -> None:
        super().__init__(d_model, 2 * d_model, dropout)

    def forward(self, tokens: Tensor, log_weight: Tensor | None = None) -> Tensor:
        """Refine the one token of the branch, whose share in it is 1 whatever its weight."""
        refined: Tensor = super().forward(tokens)
        return refined


class WeightedAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) in which each key has a weight.

    The logarithm of the weight is added to the logits, which multiplies the key's share by the weight. Not
    torch's ``MultiheadAttention``: in evaluation, its fast path takes such a bias for a mask.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(d_model, d_model)
        self.key_value = nn.Linear(d_model, 2 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries: Tensor, tokens: Tensor, log_weight: Tensor) -> Tensor:
        """(N, Q, H) queries, (N, K, H) tokens with log weights (N, K) -> (N, Q, H)."""
        query = self._by_head(self.query(queries))
        key, value = (self._by_head(part) for part in self.key_value(tokens).chunk(2, dim=-1))
        attended = nn.functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=log_weight[:, None, None, :].to(query.dtype),
            dropout_p=self.dropout.p if self.dropout.training else 0.0,
        )
        joined: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return joined

    def _by_head(self, rows: Tensor) -> Tensor:
        """(N, L, H) -> (N, heads, L, H / heads)."""
        n, length, width = rows.shape
        return rows.reshape(n, length, self.n_heads, width // self.n_heads).transpose(1, 2)


class EncoderLayer(nn.Module):
    """Weighted self-attention and a feed-forward block, each normalised before and added to its input."""

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.attention = WeightedAttention(d_model, n_heads, dropout)
        self.dropout = ByteDropout(dropout)
        self.feed_forward = FeedForward(d_model, 4 * d_model, dropout)

    def forward(self, tokens: Tensor, log_weight: Tensor) -> Tensor:
        """(N, K, H) tokens with log weights (N, K) -> (N, K, H)."""
        normed = self.norm(tokens)
        tokens = tokens + self.dropout(self.attention(normed, normed, log_weight))
        refined: Tensor = self.feed_forward(tokens)
        return refined


class Encoder(nn.Module):
    """Layers of weighted self-attention, and a normalisation at the end."""

    def __init__(self, d_model: int, n_heads: int, n_layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(d_model, n_heads, dropout) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model)

    def forward(self, tokens: Tensor, log_weight: Tensor) -> Tensor:
        """(N, K, H) tokens with log weights (N, K) -> (N, K, H)."""
        for layer in self.layers:
            tokens = layer(tokens, log_weight)
        normed: Tensor = self.norm(tokens)
        return normed


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
        self.attention = WeightedAttention(d_model, n_heads, dropout)
        self.refine = FeedForward(d_model, 2 * d_model, dropout)
        self.join = nn.Linear(n_pooled * d_model, d_model)
        self.norm = nn.LayerNorm(d_model)

    def forward(self, pooled: Tensor, tokens: Tensor, log_weight: Tensor) -> Tensor:
        """(N, B, H) pooled vectors, (N, M, H) tokens and their log weights (N, M) -> (N, H)."""
        attended = self.attention(self.norm_query(pooled), tokens, log_weight)
        refined = self.refine(pooled + attended)
        joined: Tensor = self.norm(self.join(refined.flatten(1)))
        return joined
