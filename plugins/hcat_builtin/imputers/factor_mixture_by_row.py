"""The posterior of a mixture of factor analysers with each row as a pattern of its own.

It costs more than one computation per distinct pattern, and no shape depends on which patterns there are:
that can be traced and exported. Shapes: N rows, P cells in M blocks, K clusters, Q = R + 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hcat_builtin.imputers.factor_mixture import (
    BlockSums,
    FactorMixture,
    Posterior,
    PosteriorSums,
    block_sums,
    condition,
)
from hcat_builtin.imputers.incomplete_rows import Groups, ObservedRows, block_slices


@dataclass(frozen=True)
class MixtureByRow:
    """A fitted mixture, with what its posterior needs for rows of any pattern.

    Attributes:
        model: the mixture.
        blocks: sums over all cells of each block.
        of_block: (P, M) float64, 1 where a cell belongs to a block.
    """

    model: FactorMixture
    blocks: BlockSums
    of_block: Tensor

    @classmethod
    def of(cls, model: FactorMixture) -> MixtureByRow:
        """Compute the sums over blocks."""
        of_block = torch.nn.functional.one_hot(model.block, model.spread.shape[1]).double()
        return cls(model, block_sums(model, block_slices(model.block)), of_block)

    def posterior(self, cells: Tensor, measured: Tensor) -> Posterior:
        """Clusters and factors given the measured cells of each row, as ``factor_mixture.posterior``.

        Args:
            cells: (N, P), 0 where not measured.
            measured: (N, P) bool.
        """
        model, cells = self.model, cells.double()
        observed = self._rows_alone(measured.double())
        gram, constant = self._sums_of_measured(measured.double(), observed)
        scaled = (model.loading / model.noise[:, None]).double()
        pull = torch.einsum("np,kpq->nkq", cells, scaled)
        square = cells.square() @ (1 / model.noise).double()
        return condition(model, PosteriorSums(pull, square, gram, constant), observed)

    def _rows_alone(self, seen: Tensor) -> ObservedRows:
        """N rows as N patterns of one row each, from (N, P) 1 where a cell was measured."""
        counts, every = seen @ self.of_block, torch.arange(seen.shape[0])
        groups = Groups(every, every.unsqueeze(1), torch.ones_like(counts[:, :1]), every)
        return ObservedRows((), every, groups, (counts > 0).double(), counts, ())

    def _sums_of_measured(self, seen: Tensor, observed: ObservedRows) -> tuple[Tensor, Tensor]:
        """(N, K, Q, Q) sums of E[loading loading'] / noise, and (N,) of log(2 pi noise).

        As in ``pattern_sums``, the sums over the blocks that a row has, less its gaps within them.
        """
        model = self.model
        gram = torch.einsum("nm,kmij->nkij", observed.has, self.blocks.gram)
        gram = gram + torch.einsum("nm,kmij->nkij", observed.counts, model.spread.double())
        gaps = observed.has @ self.of_block.T * (1 - seen)
        scaled = (model.loading / model.noise.sqrt()[:, None]).double()
        # Cluster by cluster: products of loadings are P x Q x Q numbers.
        of_gaps = [gaps @ (one.unsqueeze(2) * one.unsqueeze(1)).flatten(1) for one in scaled.unbind()]
        log_noise = model.noise.double().log() + math.log(2 * math.pi)
        constant = observed.has @ self.blocks.constant - gaps @ log_noise
        return gram - torch.stack(of_gaps, dim=1).reshape(gram.shape), constant
