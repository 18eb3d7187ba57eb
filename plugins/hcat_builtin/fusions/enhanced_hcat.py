"""``EnhancedHCAT``: hierarchical cross-modal attention over one token per modality.

modality cells -> principal components -> token -> gates -> position -> branches -> global encoder ->
pooling -> cross-modal fusion. N patients, M modalities, D widest modality, H = ``d_model``. What each part
is in Enhanced-HCAT, and every deviation: ``docs/reference/enhanced-hcat.md``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from hcat_builtin.fusions.enhanced_hcat_parts import (
    AttentionPooling,
    CrossModalFusion,
    Encoder,
    ModalityPositionalEncoding,
    PrincipalAxes,
    QualityGate,
    SemanticProjection,
    UncertaintyWeighting,
)
from hcat_core.cohort import Cohort
from hcat_core.interfaces import Fused, Imputation
from hcat_core.layout import Layout
from hcat_core.registry.parameter_types import Count, CountOrZero, Fraction, LayerCount


class EnhancedHCAT(nn.Module):
    """Fuses each patient's modalities into one vector.

    Each block has a weight: the quality gate of a measured one, the uncertainty weighting of an imputed
    one. Its token is a mixture of what its cells give and the modality's learned mask token, with less of
    the former the smaller the weight is, and every attention gives it as much smaller a share. A block left
    unfilled is the mask token alone. So a very uncertain imputation counts as little as a block that was
    not measured.

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
        components: number of principal components of the training patients that replace the cells of a
            wider modality; 0 embeds all cells.
        gates: False relies on every measured block alike, whatever its quality.

    Raises:
        ValueError: where ``n_heads`` does not divide ``d_model``, or branches do not cover the layout.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        d_model: Count = 512,
        n_heads: Count = 8,
        n_local_layers: LayerCount = 1,
        n_global_layers: LayerCount = 2,
        dropout: Fraction = 0.2,
        projection_dim: Count = 128,
        branches: dict[str, list[str]] | None = None,
        components: CountOrZero = 32,
        gates: bool = True,
    ) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads = {n_heads} does not divide d_model = {d_model}")
        self.width = d_model
        self.widths = layout.widths
        self.members = _branch_members(layout, branches)

        m, d = len(layout.modalities), layout.widest
        reduced = [min(width, components) if components else width for width in layout.widths]
        self.reduce = nn.ModuleList(
            PrincipalAxes(width, number) if number < width else nn.Identity()
            for width, number in zip(layout.widths, reduced, strict=True)
        )
        self.embed = nn.ModuleList(nn.Linear(number, d_model) for number in reduced)
        self.cell_token = nn.Parameter(torch.zeros(m, d))
        # As long as the normalised tokens that it replaces: a mixture stays a mixture when normalised.
        self.mask_token = nn.Parameter(torch.randn(m, d_model))
        self.position = ModalityPositionalEncoding(m, d_model)
        self.norm = nn.LayerNorm(d_model)
        self.uncertainty = UncertaintyWeighting(m)
        self.quality_gate = QualityGate(m, d_model) if gates else None
        self.branches = nn.ModuleDict(
            {
                f"branch_{name}": (
                    Encoder(d_model, n_heads, n_local_layers, dropout)
                    if len(columns) > 1
                    else SemanticProjection(d_model, dropout)
                )
                for name, columns in self.members.items()
            }
        )
        self.global_encoder = Encoder(d_model, n_heads, n_global_layers, dropout)
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
        content = self.norm(self._embed(cells))
        gates = torch.ones_like(confidence)
        if self.quality_gate is not None:
            gates = self.quality_gate(content, batch.quality)
        # 0 where neither measured nor filled.
        weight = torch.where(batch.present, gates, confidence)
        share = torch.where(batch.present, gates, confidence * filled).unsqueeze(-1)
        tokens = self.position(share * content + (1 - share) * self.mask_token)

        log_weight = weight.clamp_min(1e-6).log()
        local = torch.empty_like(tokens)
        pooled = []
        for name, columns in self.members.items():
            encoded = self.branches[f"branch_{name}"](tokens[:, columns], log_weight[:, columns])
            local[:, columns] = encoded
            pooled.append(self.branch_pooling(encoded, log_weight[:, columns])[0])
        encoded = self.global_encoder(local, log_weight)
        everything, weights = self.global_pooling(encoded, log_weight)
        fused = self.cross_modal_fusion(torch.stack([everything, *pooled], dim=1), encoded, log_weight)
        projection = nn.functional.normalize(self.cproj(fused), dim=-1)
        return Fused(fused, encoded, projection, weights, gates=weight)

    def prepare(self, train: Cohort) -> None:
        """Compute the principal axes of wide modalities from standardised training patients."""
        for column, (reduce, width) in enumerate(zip(self.reduce, self.widths, strict=True)):
            if isinstance(reduce, PrincipalAxes):
                cells = torch.where(train.measured[:, column, :width], train.emb[:, column, :width], 0.0)
                reduce.prepare(cells[train.present[:, column]])

    def gate_parameters(self) -> Iterator[nn.Parameter]:
        """The offsets and slopes of both gates; the part that looks at content is trained like the rest."""
        if self.quality_gate is not None:
            yield from (self.quality_gate.offset, self.quality_gate.slope)
        yield from self.uncertainty.parameters()

    def quality_gates(self, quality: Tensor) -> Tensor:
        """(N, M) gates of measured blocks by their quality (N, M) alone; 1 without gates."""
        return (
            torch.ones_like(quality) if self.quality_gate is None else self.quality_gate.by_quality(quality)
        )

    def _embed(self, cells: Tensor) -> Tensor:
        """(N, M, D) cells -> tokens (N, M, H)."""
        tokens = [
            embed(reduce(cells[:, column, :width]))
            for column, (reduce, embed, width) in enumerate(
                zip(self.reduce, self.embed, self.widths, strict=True)
            )
        ]
        return torch.stack(tokens, dim=1)


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
