"""The posterior of a mixture of factor analysers with each row as a pattern of its own.

It costs more than one computation per distinct pattern, and no shape depends on which patterns there are: that
can be traced and exported. Shapes: N rows, P cells in M blocks, K clusters, Q = R + 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hcat_builtin.imputers.factor_mixture import (
    FactorMixture,
    Posterior,
    PosteriorSums,
    block_sums,
    condition,
    row_sums,
)
from hcat_builtin.imputers.incomplete_rows import BlockCells, Groups, ObservedRows


def posterior_by_row(
    model: FactorMixture, cells: Tensor, measured: Tensor, slices: tuple[slice, ...]
) -> Posterior:
    """Clusters and factors given the measured cells of each row, as ``factor_mixture.posterior``.

    Args:
        model: the mixture.
        cells: (N, P), 0 where not measured.
        measured: (N, P) bool.
        slices: the cells of each of the M blocks.
    """
    seen = measured.double()
    counts = torch.stack([seen[:, block].sum(dim=1) for block in slices], dim=1)
    observed = _rows_alone(cells, counts)
    gram, constant = _sums_of_measured(model, seen, observed, slices)
    parts = [row_sums(model, _block_of(cells, block)) for block in slices]
    pull = torch.stack([part for part, _ in parts]).sum(dim=0)
    square = torch.stack([part for _, part in parts]).sum(dim=0)
    return condition(model, PosteriorSums(pull, square, gram, constant), observed)


def _block_of(cells: Tensor, block: slice) -> BlockCells:
    """The cells of a block, 0 in rows without it."""
    here = cells[:, block]
    return BlockCells(block, torch.arange(cells.shape[0]), here, here.square())


def _rows_alone(cells: Tensor, counts: Tensor) -> ObservedRows:
    """N rows as N patterns of one row each, with the number of measured cells of each block (N, M)."""
    every = torch.arange(cells.shape[0])
    there = torch.ones_like(counts[:, :1])
    groups = Groups(every, every.unsqueeze(1), there, every)
    return ObservedRows((), every, groups, (counts > 0).double(), counts, ())


def _sums_of_measured(
    model: FactorMixture, seen: Tensor, observed: ObservedRows, slices: tuple[slice, ...]
) -> tuple[Tensor, Tensor]:
    """(N, K, Q, Q) sums of E[loading loading'] / noise, and (N,) of log(2 pi noise), over measured cells.

    As in ``pattern_sums``, the sums over the blocks that a row has, less its gaps within them.
    """
    blocks = block_sums(model, slices)
    gram = torch.einsum("nm,kmij->nkij", observed.has, blocks.gram)
    gram = gram + torch.einsum("nm,kmij->nkij", observed.counts, model.spread.double())
    gaps = observed.has[:, model.block] * (1 - seen)
    scaled = (model.loading / model.noise.sqrt()[:, None]).double()
    of_gaps = [gaps @ (one.unsqueeze(2) * one.unsqueeze(1)).flatten(1) for one in scaled.unbind()]
    log_noise = model.noise.double().log() + math.log(2 * math.pi)
    constant = observed.has @ blocks.constant - gaps @ log_noise
    return gram - torch.stack(of_gaps, dim=1).reshape(gram.shape), constant
