"""``iterative``: transformer refinements of any first imputation.

Its place in Enhanced-HCAT: ``docs/reference/enhanced-hcat.md``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.imputation.corrected import CorrectedImputer
from hcat_core.imputation.networks import (
    ModalityDecoder,
    ModalityLinear,
    ResidualBlock,
    modality_attention,
)
from hcat_core.imputation.pretraining import Pretraining
from hcat_core.imputation.zero_gate import Proposal
from hcat_core.interfaces import Imputer
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count, CountOrZero, LayerCount, Positive


class AdvancedIterativeImputer(CorrectedImputer):
    """Starts from the imputation of another imputer and refines its missing blocks in several steps.

    Each step is a transformer layer over one token per modality, made of the modality's current cells. It
    proposes new cells and a spread, which enter through the step's own gates, one for each modality. The
    steps are trained one after the other, each to its best state on blocks hidden from validation patients.
    A step that does not help there is the identity, and so are all that follow: before training, the result
    is the first imputer's.

    Args:
        layout: modalities and widths.
        first: the imputer to start from.
        n_iterations: number of refinement steps, at most.
        hidden: width of the network; a multiple of ``n_heads``.
        n_heads: attention heads.
        fit_epochs: epochs of training each step before the predictor's, at most; 0: none.
        frozen: keep the weights as they are while the predictor trains.
        lr: highest learning rate of that training.
    """

    network_keys = ("n_iterations", "hidden", "n_heads")

    def __init__(
        self,
        layout: Layout,
        *,
        first: Imputer,
        n_iterations: LayerCount = 3,
        hidden: Count = 128,
        n_heads: Count = 4,
        fit_epochs: CountOrZero = 60,
        frozen: bool = True,
        lr: Positive = 2e-3,
    ) -> None:
        if hidden % n_heads:
            raise ValueError(f"hidden = {hidden} must be a multiple of n_heads = {n_heads}")
        super().__init__(layout, first, Pretraining(epochs=fit_epochs, lr=lr, frozen=frozen))
        for _ in range(n_iterations):
            self.add_network(RefinementNetwork(self.axes.layout, hidden, n_heads))

    def confidences(self) -> Tensor:
        """(K, M) the share of each step's proposed change that is made; 0 where it is the identity."""
        return torch.stack([gate.weight.detach().clamp(0, 1) for gate in self.gates])  # type: ignore[operator]


class RefinementNetwork(nn.Module):
    """One step: a transformer layer over the current tokens of all modalities.

    Args:
        layout: the reduced one.
        hidden: width of the network.
        n_heads: attention heads.
    """

    uses_current = True

    def __init__(self, layout: Layout, hidden: int, n_heads: int) -> None:
        super().__init__()
        modalities = len(layout.widths)
        self.embed = ModalityLinear(modalities, layout.widest, hidden)
        self.missing = nn.Parameter(torch.randn(modalities, hidden) * 0.02)
        self.layer = modality_attention(hidden, n_heads)
        self.together = nn.Linear(modalities * hidden, hidden)
        self.refine = ResidualBlock(hidden)
        self.norm = nn.LayerNorm(hidden)
        self.mean = ModalityDecoder(layout, hidden, zero=True)
        self.unexplained = nn.Linear(hidden, 1)

    def forward(self, batch: Cohort, current: Tensor) -> Proposal:
        """New tokens of every modality."""
        tokens = self.embed(current) + self.missing * ~batch.present.unsqueeze(-1)
        tokens = self.layer(tokens)
        tokens = self.norm(self.refine(tokens + self.together(tokens.flatten(1)).unsqueeze(1)))
        return Proposal(self.mean(tokens), torch.sigmoid(self.unexplained(tokens)).squeeze(-1))
