"""What a calibrated imputer returns: values, intervals and draws of features of any shape.

Axes: N patients, M modalities, D cells of the widest one, C features without padding, F curved ones, L
quantiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from hcat_core.cohort import Cohort
from hcat_core.imputation.moment_tables import MomentTable
from hcat_core.imputation.normal_scores import NormalScores
from hcat_core.imputation.residual_quantiles import bend, normal_quantiles
from hcat_core.interfaces import Imputation

NODES = 64  # of equal probability, for the standard deviation of residuals


@dataclass(frozen=True)
class ResidualMap:
    """Quantiles of standardised residuals of every feature, and what follows from them.

    Attributes:
        quantiles: (C, L).
        std: (C,) standard deviation of residuals.
        moments: of curved features.
    """

    quantiles: Tensor
    std: Tensor
    moments: MomentTable

    @classmethod
    def of(cls, scores: NormalScores, quantiles: Tensor) -> ResidualMap:
        """From (C, L) quantiles."""
        nodes = torch.special.ndtri((torch.arange(NODES, dtype=torch.float64) + 0.5) / NODES)
        nodes = (nodes / nodes.square().mean().sqrt()).to(quantiles)
        bent = bend(nodes.unsqueeze(1), normal_quantiles().to(quantiles), quantiles)
        moments = MomentTable.of(scores, quantiles[scores.feature])
        return cls(quantiles, bent.std(dim=0, correction=0), moments)

    def residuals(self, z: Tensor) -> Tensor:
        """(..., C) residuals for standard normal z."""
        return bend(z, normal_quantiles().to(z), self.quantiles)


@dataclass(frozen=True)
class FeatureMaps:
    """The maps between values and scores, with the distribution of residuals in scores.

    Attributes:
        scores: of every feature.
        moments: of curved features with normal residuals, as in training.
        block: residuals of hidden blocks, over the factor of their pattern.
        gap: residuals of gaps within present blocks.
    """

    scores: NormalScores
    moments: MomentTable
    block: ResidualMap
    gap: ResidualMap

    @classmethod
    def uncalibrated(cls, scores: NormalScores) -> FeatureMaps:
        """The maps where residuals are normal."""
        moments = MomentTable.of(scores)
        normal = normal_quantiles().to(scores.low).repeat(len(scores.cell), 1)
        residuals = ResidualMap(normal, torch.ones_like(scores.low), moments)
        return cls(scores, moments, residuals, residuals)

    def calibrated(self, block: Tensor, gap: Tensor) -> FeatureMaps:
        """The same maps with (C, L) quantiles of both kinds of residuals."""
        of_block, of_gap = (ResidualMap.of(self.scores, quantiles) for quantiles in (block, gap))
        return FeatureMaps(self.scores, self.moments, of_block, of_gap)


@dataclass(frozen=True)
class Residuals:
    """How the residuals of a batch's cells are distributed.

    Attributes:
        factor: (N, C) by which they are larger than those of their feature.
        in_block: (N, C) bool, gaps within present blocks.
    """

    factor: Tensor
    in_block: Tensor


@dataclass(frozen=True)
class CalibratedImputation(Imputation):
    """An imputation in normal scores, mapped back; intervals and draws have calibrated residuals.

    Attributes:
        inner: in normal scores.
        maps: between values and scores.
        residuals: None where nothing is calibrated, as in training.
    """

    inner: Imputation | None = None
    maps: FeatureMaps | None = None
    residuals: Residuals | None = None

    @classmethod
    def of(
        cls, batch: Cohort, inner: Imputation, maps: FeatureMaps, residuals: Residuals | None
    ) -> CalibratedImputation:
        """Values and standard deviations of what an imputer found in the scores of a batch.

        Calibration does not move the values: they are the means of the distribution before it.
        """
        scores = maps.scores
        mean, std = (part.flatten(1)[:, scores.cell] for part in (inner.emb, inner.std))
        value = torch.minimum(torch.maximum(mean, scores.low), scores.high)
        share = scores.probability(mean)
        binary, (low, width) = scores.frequency > 0, scores.two_values()
        value = torch.where(binary, low + share * width, value)
        of_two = (share * (1 - share)).sqrt() * width
        spread = torch.where(binary, of_two, _linear_std(std, maps, residuals))
        if len(scores.feature):
            f = scores.feature
            of_curved, curved_spread = maps.moments.read(mean[:, f], std[:, f])
            if residuals is not None:
                scaled = std[:, f] * residuals.factor[:, f]
                block, gap = (part.moments.read(mean[:, f], scaled)[1] for part in (maps.block, maps.gap))
                curved_spread = torch.where(residuals.in_block[:, f], gap, block)
            value, spread = value.index_copy(1, f, of_curved), spread.index_copy(1, f, curved_spread)
        return cls(
            emb=torch.where(inner.filled, _spread_out(value, scores, batch.emb), batch.emb),
            std=torch.where(inner.filled, _spread_out(spread, scores, batch.emb), 0.0),
            filled=inner.filled,
            losses=inner.losses,
            inner=inner,
            maps=maps,
            residuals=residuals,
        )

    def interval(self, level: float = 0.9) -> tuple[Tensor, Tensor]:
        """Ends (N, M, D) of central intervals, within the range of the training patients."""
        assert self.maps is not None
        half = float(torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=torch.float64)))
        one = self.emb.new_ones((1, len(self.maps.scores.cell)))
        return self._values(-half * one), self._values(half * one)

    def draw(self, n: int, generator: Generator) -> Tensor:
        """(n, N, M, D) draws of the inner imputation with calibrated residuals, mapped back."""
        assert self.inner is not None and self.maps is not None
        z = (self.inner.draw(n, generator) - self.inner.emb) / self.inner.std.clamp_min(1e-6)
        return self._values(z.flatten(-2)[..., self.maps.scores.cell])

    def _values(self, z: Tensor) -> Tensor:
        """(..., N, M, D) values of cells with (..., N or 1, C) normal residuals; measured cells stay."""
        assert self.inner is not None and self.maps is not None
        scores = self.maps.scores
        mean, std = (part.flatten(1)[:, scores.cell] for part in (self.inner.emb, self.inner.std))
        values = scores.values(mean + std * self._calibrated(z))
        is_high = z > -torch.special.ndtri(scores.probability(mean))
        of_two = torch.where(is_high, scores.high, scores.low)
        values = torch.where(scores.frequency > 0, of_two, values)
        return torch.where(self.filled, _spread_out(values, scores, self.emb), self.emb)

    def _calibrated(self, z: Tensor) -> Tensor:
        """(..., N, C) residuals for standard normal ones."""
        if self.residuals is None or self.maps is None:
            return z
        residual = self.maps.block.residuals(z)
        if self.residuals.in_block.any():
            residual = torch.where(self.residuals.in_block, self.maps.gap.residuals(z), residual)
        return self.residuals.factor * residual


def _linear_std(std: Tensor, maps: FeatureMaps, residuals: Residuals | None) -> Tensor:
    """(N, C) standard deviations of features that are not curved, for those before calibration."""
    if residuals is None:
        return std
    return std * residuals.factor * torch.where(residuals.in_block, maps.gap.std, maps.block.std)


def _spread_out(cells: Tensor, scores: NormalScores, like: Tensor) -> Tensor:
    """(..., M, D) of (..., C) cells; 0 on padding."""
    flat = cells.new_zeros((*cells.shape[:-1], math.prod(like.shape[1:])))
    return flat.index_copy(-1, scores.cell, cells).reshape(*cells.shape[:-1], *like.shape[1:])
