"""``vae``: a joint variational autoencoder over all modalities.

Its place in Enhanced-HCAT: ``docs/reference/enhanced-hcat.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from hcat_core.cohort import Cohort, Layout
from hcat_core.imputation.gaussian_likelihood import bounded_log_std, negative_log_likelihood
from hcat_core.imputation.hidden_blocks import hide_at_random
from hcat_core.imputation.networks import ModalityDecoder, MultiScaleEncoder, modality_attention
from hcat_core.imputation.pretraining import Pretraining, pretrain
from hcat_core.interfaces import Average, FitContext, Imputation, normal
from hcat_core.registry.parameter_types import Count, CountOrZero, Positive


@dataclass(frozen=True)
class LatentImputation(Imputation):
    """An imputation whose draws come from the latent posterior, so that a block's cells vary together."""

    decode: Callable[[Tensor], Tensor] | None = None
    latent_mean: Tensor | None = None
    latent_std: Tensor | None = None
    noise: Tensor | None = None

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Draw (n, N, M, D) imputations; measured cells keep their values."""
        assert self.decode is not None and self.noise is not None
        assert self.latent_mean is not None and self.latent_std is not None
        device = self.emb.device
        draws = []
        for _ in range(n):
            white = normal(self.latent_mean.shape, generator, rows=0, device=device, dtype=self.emb.dtype)
            cells = self.decode(self.latent_mean + self.latent_std * white)
            white = normal(cells.shape, generator, rows=0, device=device, dtype=self.emb.dtype)
            draws.append(torch.where(self.filled, cells + self.noise * white, self.emb))
        return torch.stack(draws)


class MultiModalVAE(nn.Module):
    """Imputes from one latent posterior per patient, to which every present modality contributes.

    Cells are encoded at several scales, modalities attend to each other, and each present one gives a
    Gaussian over the latent. The precision-weighted product of these and the prior is the joint posterior
    (product of experts: Wu and Goodman 2018, eq. 3; JAMIE: Cohen Kalafut et al. 2023), from which all
    modalities are decoded. In training, blocks are hidden in the patterns in which the cohort's blocks are
    missing, and reconstructed too, so that the network is trained to impute. Each cell's noise is learned
    by likelihood.

    Args:
        layout: modalities and widths.
        latent_dim: width of the joint posterior.
        hidden: width of the networks; a multiple of 4 and of ``n_heads``.
        n_heads: heads of the attention among modalities.
        samples: latent points over which mean and spread are computed when imputing.
        kl_warmup: training steps until the KL term has its full weight.
        fit_epochs: epochs of pre-training; 0 leaves all training to the joint one with the predictor.
        frozen: keep the pre-trained weights as they are while the predictor trains.
        lr: highest learning rate of pre-training.
    """

    steps: Tensor
    points: Tensor

    def __init__(
        self,
        layout: Layout,
        *,
        latent_dim: Count = 64,
        hidden: Count = 128,
        n_heads: Count = 4,
        samples: Count = 8,
        kl_warmup: Count = 300,
        fit_epochs: CountOrZero = 0,
        frozen: bool = False,
        lr: Positive = 2e-3,
    ) -> None:
        super().__init__()
        if hidden % 4 or hidden % n_heads:
            raise ValueError(f"hidden = {hidden} must be a multiple of 4 and of n_heads = {n_heads}")
        self.cells = layout.cells
        self.latent_dim = latent_dim
        self.kl_warmup = kl_warmup
        self.pretraining = Pretraining(epochs=fit_epochs, lr=lr, frozen=frozen)
        self.encoder = MultiScaleEncoder(layout, hidden)
        self.attention = modality_attention(hidden, n_heads)
        self.expert = nn.Linear(hidden, 2 * latent_dim)
        self.trunk = nn.Sequential(
            nn.Linear(latent_dim, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU()
        )
        self.decoders = ModalityDecoder(layout, hidden)
        self.log_noise = nn.Parameter(torch.zeros(layout.cells.shape))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        points = torch.randn((samples + 1) // 2, latent_dim, generator=torch.Generator().manual_seed(0))
        # In pairs around 0, and the same for all: a patient's imputation does not depend on the others.
        self.register_buffer("points", torch.cat([points, -points])[:samples])
        self.requires_grad_(not frozen)

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Pre-train for ``fit_epochs``; freeze the weights where ``frozen`` is set."""
        pretrain(self, train, validation, context, self.pretraining)

    def forward(self, batch: Cohort) -> Imputation:
        """Fill every gap; in training mode also compute ``kl``, ``reconstruction`` and ``hidden``."""
        losses = self._losses(batch) if self.training and self.log_noise.requires_grad else {}
        mean, std = self.posterior(batch)
        noise = bounded_log_std(self.log_noise).exp()
        if losses:
            cells = self.decode(mean)
            spread = noise.expand_as(cells)
        else:
            points = mean + std * self.points.unsqueeze(1)
            decoded = self.decode(points.flatten(0, 1)).unflatten(0, points.shape[:2])
            cells = decoded.mean(dim=0)
            # torch.var over the first axis would take seven times as long.
            between = (decoded - cells).square().sum(dim=0) / max(1, len(decoded) - 1)
            spread = (noise.square() + between).sqrt()
        filled = ~batch.measured & self.cells.to(batch.emb.device)
        return LatentImputation(
            emb=torch.where(filled, cells, batch.emb),
            std=torch.where(filled, spread, 0.0),
            filled=filled,
            losses=losses,
            decode=self.decode,
            latent_mean=mean,
            latent_std=std,
            noise=noise,
        )

    def posterior(self, batch: Cohort) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (N, L) of the product of the present modalities' experts."""
        tokens = self.encoder(batch)
        tokens = self.attention(tokens, src_key_padding_mask=~batch.present)
        mean, log_variance = self.expert(tokens).float().chunk(2, dim=-1)  # the KL term subtracts
        precision = torch.exp(-log_variance.clamp(-8, 8)) * batch.present.unsqueeze(-1)
        total = 1 + precision.sum(dim=1)  # the prior takes part as an expert
        # Without any present modality attention gives NaN, and the prior alone is the posterior.
        mean = torch.where(batch.present.unsqueeze(-1), mean, 0.0)
        return (mean * precision).sum(dim=1) / total, total.rsqrt()

    def decode(self, latent: Tensor) -> Tensor:
        """Decode latent points (N, L) to cells (N, M, D)."""
        trunk = self.trunk(latent).unsqueeze(1)
        cells: Tensor = self.decoders(trunk.expand(-1, len(self.log_noise), -1))
        return cells

    def _losses(self, batch: Cohort) -> dict[str, Average]:
        masked, hide = hide_at_random(batch)
        mean, std = self.posterior(masked)
        white = torch.randn((len(batch), self.latent_dim), device=std.device)
        cells = self.decode(mean + std * white)
        log_noise = bounded_log_std(self.log_noise)
        hidden = batch.measured & hide.unsqueeze(-1)
        seen = batch.measured & ~hide.unsqueeze(-1)
        self.steps += 1
        warm = (self.steps / self.kl_warmup).clamp(max=1.0)
        kl = 0.5 * (mean.square() + std.square() - 1 - 2 * std.log()).sum()
        return {
            # In nats per cell like the other terms, so that their sum is a bound whatever the width.
            "kl": Average(warm * kl, batch.measured.sum()),
            "reconstruction": negative_log_likelihood(batch.emb, cells, log_noise, seen),
            "hidden": negative_log_likelihood(batch.emb, cells, log_noise, hidden),
        }
