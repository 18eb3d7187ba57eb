"""``EnhancedHCAT``: hierarchical cross-modal attention over one token per modality.

modality cells -> token -> position -> quality gate -> branches -> global encoder -> pooling ->
cross-modal fusion. N patients, M modalities, D widest modality, H = ``d_model``. What each part is in
Enhanced-HCAT, and every deviation: ``docs/reference/enhanced-hcat.md``.
"""

from __future__ import annotations

import torch
from torch import nn

from hcat_builtin.fusions.enhanced_hcat_parts import (
    AttentionPooling,
    ByteDropout,
    CrossModalFusion,
    ModalityPositionalEncoding,
    QualityGate,
    SemanticProjection,
    UncertaintyWeighting,
)
from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import Fused, Imputation
from hcat_core.registry.parameter_types import Count, Fraction


class EnhancedHCAT(nn.Module):
    """Fuses each patient's modalities into one vector.

    A missing block that the imputer filled becomes a mixture of its token and the modality's learned mask
    token, with less of the former the more uncertain the imputation is. A block left unfilled is the mask
    token alone. So a very uncertain imputation counts as little as a block that was not measured.

    Args:
        layout: modalities and their widths.
        d_model: H, the width of tokens and of the fused vector.
        n_heads: attention heads; must divide ``d_model``.
        n_local_layers: transformer layers in each branch of two or more modalities.
        n_global_layers: transformer layers over all tokens.
        dropout: rate in every block.
        projection_dim: P, the width of the contrastive projection.
        branches: branch name -> its modalities; every modality belongs to exactly one. A branch of one
            modality is a projection. Where None, there is one branch of all modalities.

    Raises:
        ValueError: where ``n_heads`` does not divide ``d_model``, or branches do not cover the layout.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        d_model: Count = 512,
        n_heads: Count = 8,
        n_local_layers: Count = 1,
        n_global_layers: Count = 2,
        dropout: Fraction = 0.2,
        projection_dim: Count = 128,
        branches: dict[str, list[str]] | None = None,
    ) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads = {n_heads} does not divide d_model = {d_model}")
        self.width = d_model
        self.widths = layout.widths
        self.members = _branch_members(layout, branches)

        m, d = len(layout.modalities), layout.widest
        self.embed = nn.ModuleList(nn.Linear(width, d_model) for width in layout.widths)
        self.cell_token = nn.Parameter(torch.zeros(m, d))
        self.mask_token = nn.Parameter(torch.randn(m, d_model) * 0.02)
        self.position = ModalityPositionalEncoding(m, d_model)
        self.norm = nn.LayerNorm(d_model)
        self.uncertainty = UncertaintyWeighting(m)
        self.quality_gate = QualityGate(d_model)
        self.branches = nn.ModuleDict(
            {
                f"branch_{name}": (
                    _encoder(d_model, n_heads, n_local_layers, dropout)
                    if len(columns) > 1
                    else SemanticProjection(d_model, dropout)
                )
                for name, columns in self.members.items()
            }
        )
        self.global_encoder = _encoder(d_model, n_heads, n_global_layers, dropout)
        self.branch_pooling = AttentionPooling(d_model)
        self.global_pooling = AttentionPooling(d_model)
        self.cross_modal_fusion = CrossModalFusion(d_model, n_heads, len(self.members) + 1, dropout)
        self.cproj = nn.Sequential(
            nn.Linear(d_model, d_model), nn.GELU(), nn.Linear(d_model, projection_dim)
        )

    def forward(self, batch: Cohort, imputation: Imputation) -> Fused:
        """(N, M, D) cells -> ``Fused`` with pooled (N, H), tokens (N, M, H), projection (N, P)."""
        has_value = batch.measured | imputation.filled
        filled = imputation.filled.any(dim=2) & ~batch.present
        confidence = self.uncertainty(imputation.std, imputation.filled, batch.present, filled)

        cells = torch.where(has_value, imputation.emb, self.cell_token)
        tokens = torch.stack(
            [
                embed(cells[:, column, :width])
                for column, (embed, width) in enumerate(zip(self.embed, self.widths, strict=True))
            ],
            dim=1,
        )
        # 1 where measured, 0 where neither measured nor filled, in between for a filled block.
        trust = torch.where(batch.present, 1.0, confidence * filled).unsqueeze(-1)
        tokens = trust * tokens + (1 - trust) * self.mask_token
        tokens = self.norm(self.position(tokens))
        tokens = self.quality_gate(tokens, torch.where(batch.present, batch.quality, confidence))

        log_weight = confidence.log()
        local = torch.empty_like(tokens)
        pooled = []
        for name, columns in self.members.items():
            encoded = self.branches[f"branch_{name}"](tokens[:, columns])
            local[:, columns] = encoded
            pooled.append(self.branch_pooling(encoded, log_weight[:, columns])[0])
        encoded = self.global_encoder(local)
        everything, weights = self.global_pooling(encoded, log_weight)
        fused = self.cross_modal_fusion(torch.stack([everything, *pooled], dim=1), encoded)
        projection = nn.functional.normalize(self.cproj(fused), dim=-1)
        return Fused(pooled=fused, tokens=encoded, projection=projection, weights=weights)


def _encoder(d_model: int, n_heads: int, n_layers: int, dropout: float) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        d_model,
        n_heads,
        dim_feedforward=4 * d_model,
        dropout=dropout,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )
    layer.dropout, layer.dropout1, layer.dropout2 = (ByteDropout(dropout) for _ in range(3))
    return nn.TransformerEncoder(layer, n_layers, norm=nn.LayerNorm(d_model), enable_nested_tensor=False)


def _branch_members(layout: Layout, branches: dict[str, list[str]] | None) -> dict[str, list[int]]:
    """Branch name -> modality columns, without modalities that have no file in this run."""
    if branches is None:
        branches = {"all": list(layout.names)}
    named = [name for members in branches.values() for name in members]
    twice = sorted({name for name in named if named.count(name) > 1})
    unknown = sorted(set(named) - set(layout.names) - set(layout.absent))
    uncovered = [name for name in layout.names if name not in named]
    if twice or unknown or uncovered:
        problems = [
            f"{what} {', '.join(names)}"
            for what, names in (
                ("named twice:", twice),
                ("no such modality:", unknown),
                ("in no branch:", uncovered),
            )
            if names
        ]
        raise ValueError(
            f"branches: {'; '.join(problems)}. Every modality of the cohort "
            f"({', '.join(layout.names)}) belongs to exactly one branch."
        )
    present = {
        branch: [layout.names.index(name) for name in members if name in layout.names]
        for branch, members in branches.items()
    }
    return {branch: columns for branch, columns in present.items() if columns}
