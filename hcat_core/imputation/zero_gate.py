"""Gates through which a network corrects an imputation: zero until hidden blocks show that it helps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from hcat_core.imputation.principal_axes import PrincipalAxes, ReducedCohort
from hcat_core.imputation.scores import gaussian_crps
from hcat_core.interfaces import Average

SCALE_RANGE = (0.25, 4.0)  # of a proposal's variance, measured on hidden blocks


@dataclass(frozen=True)
class Proposal:
    """What a network proposes for every block.

    Attributes:
        tokens: (N, M, Q) on the principal axes of each modality.
        unexplained: (N, M) the share, between 0 and 1, of the variance along the axes that is not known.
        kl: divergence of a latent posterior from its prior, where the network has one; summed, per cell.
    """

    tokens: Tensor
    unexplained: Tensor
    kl: Average | None = None


@dataclass(frozen=True)
class JudgedBlock:
    """A modality hidden from n patients, and what an imputer fills it with.

    Attributes:
        column: of the modality.
        reduced: the n patients without it.
        current: (n, M, Q) tokens of the current imputation.
        truth: (n, D) values of the modality.
        measured: (n, D) bool, which of them were measured.
        mean: (n, D) the current imputation.
        std: (n, D) its standard deviation.
    """

    column: int
    reduced: ReducedCohort
    current: Tensor
    truth: Tensor
    measured: Tensor
    mean: Tensor
    std: Tensor

    @property
    def crps(self) -> float:
        """Mean CRPS over patients."""
        cells = gaussian_crps(self.truth, self.mean, self.std) * self.measured
        return float((cells.sum(dim=1) / self.measured.sum(dim=1).clamp_min(1)).mean())


def mean_crps(blocks: list[JudgedBlock]) -> float:
    """Mean CRPS over blocks."""
    return sum(block.crps for block in blocks) / len(blocks)


class ZeroGate(nn.Module):
    """The weight in [0, 1] of a network's proposal, one for each modality.

    The mean moves from the current imputation towards the proposal by this weight, and so does the
    variance. A gate at 0 leaves an imputation as it is.

    Args:
        modalities: M.
    """

    scale: Tensor

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(modalities))
        self.register_buffer("scale", torch.ones(modalities))  # of the proposal's variance

    @property
    def is_closed(self) -> bool:
        """True where no modality is corrected."""
        return not bool((self.weight > 0).any())

    @torch.no_grad()
    def keep_inside(self) -> None:
        """Take back what a training step led out of [0, 1], so that the way back is one step long."""
        self.weight.clamp_(0, 1)

    @torch.no_grad()
    def close(self) -> None:
        """Let no correction through."""
        self.weight.zero_()
        self.scale.fill_(1.0)

    def forward(
        self, axes: PrincipalAxes, mean: Tensor, std: Tensor, proposal: Proposal
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (N, M, D) after the correction."""
        inside = self.weight.clamp(0, 1)
        # Outside the interval the gradient goes on, so that a gate can come back.
        weight = (self.weight + (inside - self.weight).detach()).unsqueeze(-1)
        move = axes.cells(proposal.tokens - axes.tokens(mean))
        variance = axes.variance(proposal.unexplained) * self.scale.unsqueeze(-1)
        blended = (1 - weight) * std.square() + weight * variance
        return mean + weight * move, blended.clamp_min(1e-8).sqrt()

    @torch.no_grad()
    def choose(self, axes: PrincipalAxes, proposals: list[Proposal], blocks: list[JudgedBlock]) -> float:
        """Set each modality's weight to what hidden blocks ask for; their mean CRPS with it.

        The weight is the slope of the current imputation's error on the proposed move. A slope within one
        standard error (over patients) of 0 counts as 0, and so does a weight that does not lower the CRPS.
        """
        self.close()
        scores = []
        for proposal, block in zip(proposals, blocks, strict=True):
            column, before = block.column, block.crps
            move = self._move(axes, proposal, block)
            slope, error = _slope((block.truth - block.mean) * block.measured, move)
            after = before
            if slope > error:
                self.scale[column] = self._measure_scale(axes, proposal, block, move)
                self.weight[column] = min(1.0, slope)
                after = self.correct(axes, proposal, block).crps
            if after >= before:
                self.weight[column], self.scale[column] = 0.0, 1.0
            scores.append(min(after, before))
        return sum(scores) / len(scores)

    @torch.no_grad()
    def correct(self, axes: PrincipalAxes, proposal: Proposal, block: JudgedBlock) -> JudgedBlock:
        """The block with the corrected imputation."""
        column = block.column
        weight = self.weight[column].clamp(0, 1)
        move = self._move(axes, proposal, block)
        variance = axes.variance(proposal.unexplained)[:, column] * self.scale[column]
        std = ((1 - weight) * block.std.square() + weight * variance).sqrt()
        mean = block.mean + weight * move
        current = self.move_tokens(~block.reduced.cohort.present, block.current, proposal)
        return replace(block, mean=mean, std=std, current=current)

    def move_tokens(self, absent: Tensor, current: Tensor, proposal: Proposal) -> Tensor:
        """The current tokens (N, M, Q) after the correction, which moves those of absent blocks (N, M)."""
        weight = (self.weight.clamp(0, 1) * absent).unsqueeze(-1)
        return current + weight * (proposal.tokens - current)

    @staticmethod
    def _move(axes: PrincipalAxes, proposal: Proposal, block: JudgedBlock) -> Tensor:
        """(n, D) from the current imputation to the proposal, in measured cells."""
        column = block.column
        tokens = (proposal.tokens - block.current)[:, column]
        return (tokens * axes.deviation[column]) @ axes.axes[column].T * block.measured

    @staticmethod
    def _measure_scale(axes: PrincipalAxes, proposal: Proposal, block: JudgedBlock, move: Tensor) -> float:
        """Mean squared error of the proposal in units of its own variance."""
        error = (block.truth - block.mean - move).square()
        variance = axes.variance(proposal.unexplained)[:, block.column].clamp_min(1e-6)
        ratio = (error / variance * block.measured).sum() / block.measured.sum().clamp_min(1)
        return float(ratio.clamp(*SCALE_RANGE))


def _slope(error: Tensor, move: Tensor) -> tuple[float, float]:
    """Slope of (n, D) errors on (n, D) moves, and its standard error over patients."""
    product = (error * move).sum(dim=1).double()
    square = move.square().sum(dim=1).double()
    total = square.sum().clamp_min(1e-12)
    slope = product.sum() / total
    return float(slope), float((product - slope * square).square().sum().sqrt() / total)
