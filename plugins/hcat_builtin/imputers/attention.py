"""``attention``: each missing modality is a query that attends over the present modalities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_core.cohort import Cohort
from hcat_core.imputation.corrected import CorrectedImputer
from hcat_core.imputation.networks import ModalityDecoder, MultiScaleEncoder, modality_attention
from hcat_core.imputation.pretraining import Pretraining
from hcat_core.imputation.zero_gate import Proposal
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count, CountOrZero, Fraction, LayerCount, Positive


class AttentionImputer(CorrectedImputer):
    """Corrects ``gaussian`` by a learned query per missing modality that attends over the present ones.

    It starts at the closed-form regression of the missing modalities on the factors of the present ones:
    before training, mean, spread and draws are those of ``gaussian``. The queries' result, decoded to mean
    and spread, enters through gates that start at zero and open as far as blocks hidden from validation
    patients show that this helps.

    Args:
        layout: modalities and widths.
        hidden: width of the network; a multiple of 4 and of ``n_heads``.
        n_heads: attention heads.
        n_layers: attention layers.
        dropout: in the attention layers, while training.
        rank: factors of each cluster of the start; chosen where None.
        components: number of clusters; chosen where None, at most eight.
        fit_epochs: epochs of training before the predictor's, at most; 0: none.
        frozen: keep the weights as they are while the predictor trains.
        lr: highest learning rate of that training.
    """

    network_keys = ("hidden", "n_heads", "n_layers", "dropout")

    def __init__(
        self,
        layout: Layout,
        *,
        hidden: Count = 128,
        n_heads: Count = 4,
        n_layers: LayerCount = 1,
        dropout: Fraction = 0.0,
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
        self.add_network(QueryNetwork(self.axes.layout, hidden, n_heads, n_layers, dropout))


class QueryNetwork(nn.Module):
    """Learned queries, one per modality, over the tokens of the present modalities.

    Args:
        layout: the reduced one.
        hidden: width of the network.
        n_heads: attention heads.
        n_layers: attention layers.
        dropout: in the attention layers.
    """

    uses_current = False

    def __init__(self, layout: Layout, hidden: int, n_heads: int, n_layers: int, dropout: float) -> None:
        super().__init__()
        self.encoder = MultiScaleEncoder(layout, hidden)
        self.among = modality_attention(hidden, n_heads)
        self.query = nn.Parameter(torch.randn(len(layout.widths), hidden) * 0.02)
        # A token that is always there, so that attention has something to attend to for every patient.
        self.nothing = nn.Parameter(torch.zeros(1, 1, hidden))
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                hidden,
                n_heads,
                dim_feedforward=2 * hidden,
                dropout=dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(hidden)
        self.mean = ModalityDecoder(layout, hidden, zero=True)
        self.unexplained = nn.Linear(hidden, 1)

    def forward(self, batch: Cohort, current: Tensor) -> Proposal:
        """The decoded queries of every modality."""
        n = batch.present.shape[0]
        absent = nn.functional.pad(~batch.present, (0, 1), value=False)
        memory = torch.cat([self.encoder(batch), self.nothing.expand(n, -1, -1)], dim=1)
        memory = self.among(memory, src_key_padding_mask=absent)
        tokens = self.query.expand(n, -1, -1)
        for layer in self.layers:
            tokens = layer(tokens, memory, memory_key_padding_mask=absent)
        tokens = self.norm(tokens)
        return Proposal(self.mean(tokens), torch.sigmoid(self.unexplained(tokens)).squeeze(-1))
