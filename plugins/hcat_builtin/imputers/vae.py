"""``vae``: a joint variational autoencoder that starts at a mixture of factor analysers.

Its place in Enhanced-HCAT: ``docs/reference/enhanced-hcat.md``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_core.cohort import Cohort
from hcat_core.imputation.corrected import CorrectedImputer
from hcat_core.imputation.networks import (
    ModalityDecoder,
    MultiScaleEncoder,
    ResidualBlock,
    modality_attention,
)
from hcat_core.imputation.pretraining import Pretraining
from hcat_core.imputation.zero_gate import Proposal
from hcat_core.interfaces import Average
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count, CountOrZero, Positive


class MultiModalVAE(CorrectedImputer):
    """Imputes from one latent posterior per patient, to which every present modality contributes.

    The latent has a linear part, the clusters and factors of ``gaussian``. Its posterior, the product of
    the present modalities' linear-Gaussian experts and the prior, is exact, and so is its decoding: before
    training, mean, spread and draws are those of ``gaussian``. The nonlinear part has Gaussian experts from
    encoders at several scales and attention among the present modalities; the precision-weighted product
    of these and the prior is its posterior (product of experts: Wu and Goodman 2018, eq. 3; JAMIE: Cohen
    Kalafut et al. 2023). What is decoded from it corrects the missing modalities through gates that start
    at zero, and open as far as blocks hidden from validation patients show that this helps.

    Args:
        layout: modalities and widths.
        latent_dim: width of the nonlinear part.
        hidden: width of the networks; a multiple of 4 and of ``n_heads``.
        n_heads: heads of the attention among modalities.
        kl_warmup: training steps until the KL term has its full weight.
        rank: factors of each cluster of the linear part; chosen where None.
        components: number of clusters; chosen where None, at most eight.
        fit_epochs: epochs of training before the predictor's, at most; 0: none.
        frozen: keep the weights as they are while the predictor trains.
        lr: highest learning rate of that training.
    """

    network_keys = ("latent_dim", "hidden", "n_heads", "kl_warmup")
    loss_names = (*CorrectedImputer.loss_names, "kl")

    def __init__(
        self,
        layout: Layout,
        *,
        latent_dim: Count = 64,
        hidden: Count = 128,
        n_heads: Count = 4,
        kl_warmup: Count = 300,
        rank: Count | None = None,
        components: Count | None = None,
        fit_epochs: CountOrZero = 60,
        frozen: bool = True,
        lr: Positive = 2e-3,
    ) -> None:
        if hidden % 4 or hidden % n_heads:
            raise ValueError(f"hidden = {hidden} must be a multiple of 4 and of n_heads = {n_heads}")
        start = GaussianImputer(layout, rank=rank, components=components)
        super().__init__(layout, start, Pretraining(epochs=fit_epochs, lr=lr, frozen=frozen))
        self.add_network(LatentNetwork(self.axes.layout, latent_dim, hidden, n_heads, kl_warmup))


class LatentNetwork(nn.Module):
    """Encoders, product of experts and decoders: the nonlinear part of ``MultiModalVAE``.

    Besides one expert a modality there is one of all present modalities together, which knows what only
    their combination tells.

    Args:
        layout: the reduced one.
        latent_dim: L.
        hidden: width of the networks.
        n_heads: of the attention.
        kl_warmup: steps until the KL term has its full weight.
    """

    uses_current = False
    steps: Tensor

    def __init__(self, layout: Layout, latent_dim: int, hidden: int, n_heads: int, kl_warmup: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.kl_warmup = kl_warmup
        modalities = len(layout.widths)
        self.encoder = MultiScaleEncoder(layout, hidden)
        self.attention = modality_attention(hidden, n_heads)
        self.expert = nn.Linear(hidden, 2 * latent_dim)
        self.joint = nn.Sequential(
            nn.Linear(modalities * (layout.widest + 1), hidden),
            ResidualBlock(hidden),
            nn.LayerNorm(hidden),
            nn.Linear(hidden, 2 * latent_dim),
        )
        self.trunk = nn.Sequential(
            nn.Linear(latent_dim, hidden), ResidualBlock(hidden), nn.LayerNorm(hidden)
        )
        self.decoders = ModalityDecoder(layout, hidden, zero=True)
        self.unexplained = nn.Linear(hidden, modalities)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: Cohort, current: Tensor) -> Proposal:
        """The decoded tokens of every modality; in training, of a latent point drawn from the posterior."""
        mean, std = self.posterior(batch)
        latent = mean + std * torch.randn(std.shape, device=std.device) if self.training else mean
        kl = self._kl(mean, std) if self.training else None
        trunk = self.trunk(latent)
        tokens = self.decoders(trunk.unsqueeze(1).expand(-1, batch.present.shape[1], -1))
        return Proposal(tokens, torch.sigmoid(self.unexplained(trunk)), kl)

    def posterior(self, batch: Cohort) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (N, L) of the product of all experts and the prior."""
        present = batch.present.unsqueeze(-1)
        tokens = self.attention(self.encoder(batch), src_key_padding_mask=~batch.present)
        tokens = torch.where(present, tokens, 0.0)  # NaN for a patient with no modality at all
        cells = torch.cat([batch.emb.flatten(1), batch.present.to(batch.emb.dtype)], dim=1)
        together = self.joint(cells).unsqueeze(1)
        experts = torch.cat([self.expert(tokens), together], dim=1).float()  # the KL term subtracts
        mean, log_variance = experts.chunk(2, dim=-1)
        there = torch.nn.functional.pad(present, (0, 0, 0, 1), value=True)
        precision = torch.exp(-log_variance.clamp(-8, 8)) * there
        total = 1 + precision.sum(dim=1)  # the prior takes part as an expert
        return (mean * precision).sum(dim=1) / total, total.rsqrt()

    def _kl(self, mean: Tensor, std: Tensor) -> Average:
        self.steps += 1
        warm = (self.steps / self.kl_warmup).clamp(max=1.0)
        kl = 0.5 * (mean.square() + std.square() - 1 - 2 * std.log()).sum()
        return Average(warm * kl, torch.ones((), device=kl.device))
