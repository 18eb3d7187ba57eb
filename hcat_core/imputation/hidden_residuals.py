"""Standardised residuals of cells that are hidden from patients who have them.

Axes: N patients, C features without padding, W features of one modality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.imputation.hidden_blocks import HiddenBlock, hide_cells_in_turn
from hcat_core.imputation.normal_scores import NormalScores
from hcat_core.imputation.scores import Z90
from hcat_core.interfaces import Imputation, Imputer

LEVEL = 0.9


@dataclass(frozen=True)
class HiddenTruth:
    """Validation patients in scores, and the normal variable that each of their cells stands for.

    Attributes:
        scored: N patients.
        cell: (C,) places of features in (M, D) flattened.
        lower, upper: (N, C) ends of the variable; apart where several patients have one value.
        place: (N, C) where between the ends, in [0, 1].
        several: (C,) features with more than two values; the others have probabilities, not residuals.
    """

    scored: Cohort
    cell: Tensor
    lower: Tensor
    upper: Tensor
    place: Tensor
    several: Tensor

    @classmethod
    def of(cls, scores: NormalScores, validation: Cohort) -> HiddenTruth:
        """The truth of validation patients; places are the same at each call."""
        lower, upper = scores.latent_range(validation)
        place = torch.rand(lower.shape, generator=torch.Generator().manual_seed(0)).to(lower.device)
        return cls(scores.apply(validation), scores.cell, lower, upper, place, scores.frequency == 0)

    def residuals(self, imputation: Imputation, hidden: HiddenBlock, cells: slice) -> tuple[Tensor, Tensor]:
        """(n, W) residuals of a hidden modality with the features ``cells``, and where there are any."""
        filled = imputation.filled.flatten(1)[:, self.cell[cells]]
        measured = hidden.measured.flatten(1)[:, : filled.shape[1]]
        residual = self._residuals(imputation, hidden.rows, cells)
        return residual, measured & filled & self.several[cells]

    def hide_gaps(self, imputer: Imputer, rounds: int) -> tuple[Tensor, Tensor]:
        """(N, C) residuals of cells of present blocks, each hidden in one of the rounds, and of which."""
        residual = torch.zeros_like(self.lower)
        found = torch.zeros_like(self.lower, dtype=torch.bool)
        generator = torch.Generator().manual_seed(0)
        for masked, hide in hide_cells_in_turn(self.scored, rounds, generator):
            imputation = imputer(masked)
            here = (hide & imputation.filled).flatten(1)[:, self.cell] & self.several
            of_round = self._residuals(imputation, slice(None), slice(None))
            residual, found = torch.where(here, of_round, residual), found | here
        return residual, found

    def _residuals(self, imputation: Imputation, rows: Tensor | slice, cells: slice) -> Tensor:
        """(n, W) of all cells; that of a value which several have is a random one of those it allows."""
        of_cells = self.cell[cells]
        mean, std = (part.flatten(1)[:, of_cells] for part in (imputation.emb, imputation.std))
        ends = (self.lower[rows][:, cells], self.upper[rows][:, cells])
        lower, upper = ((end - mean) / std.clamp_min(1e-6) for end in ends)
        below, above = torch.special.ndtr(lower), torch.special.ndtr(upper)
        share = below + self.place[rows][:, cells] * (above - below)
        return torch.where(lower == upper, lower, torch.special.ndtri(share.clamp(1e-6, 1 - 1e-6)))


@dataclass(frozen=True)
class ResidualsOfPattern:
    """Residuals of one modality hidden from the n patients who could be masked to a pattern.

    Attributes:
        pattern: its row among patterns; None where each patient keeps all other modalities.
        column: of the modality.
        rows: (n,) of the patients.
        residual: (n, W).
        measured: (n, W) bool, where there are residuals.
        frequency: number of training patients with the pattern.
    """

    pattern: int | None
    column: int
    rows: Tensor
    residual: Tensor
    measured: Tensor
    frequency: Tensor


def patients_by_feature(groups: Sequence[ResidualsOfPattern]) -> Tensor:
    """(W,) number of different patients whose cells of each feature were hidden."""
    last = max(int(group.rows.max()) for group in groups)
    seen = groups[0].measured.new_zeros((last + 1, groups[0].measured.shape[1]))
    for group in groups:
        seen[group.rows] |= group.measured
    return seen.sum(dim=0)


def absolute_factor(groups: Sequence[ResidualsOfPattern]) -> float:
    """The 90 % quantile of absolute residuals over 1.645, each patient with the same weight; 1 of none."""
    if not groups:
        return 1.0
    residual = torch.cat([group.residual[group.measured] for group in groups]).abs()
    weight = torch.cat(
        [(g.measured / g.measured.sum(dim=1, keepdim=True).clamp_min(1))[g.measured] for g in groups]
    )
    order = residual.argsort()
    share = weight[order].cumsum(dim=0) / weight.sum()
    at = int((share < LEVEL).sum().clamp_max(len(residual) - 1))
    return float(residual[order][at] / Z90)
