"""Incomplete rows by pattern of measured cells, and by block where only a few cells of it are missing.

Shapes: N rows in S patterns, P cells in M blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

GAPS_AT_ONCE = 2**13  # cells; the loadings of so many fit into a processor's cache
LARGEST_GROUP = 64  # rows of one pattern that share a matrix product


@dataclass(frozen=True)
class Rows:
    """N incomplete rows, and their distinct patterns of measured cells.

    Attributes:
        cells: (N, P), 0 where not measured.
        masks: (S, P) float, 1 where a pattern has a measured cell.
        pattern: (N,) index of each row's pattern.
    """

    cells: Tensor
    masks: Tensor
    pattern: Tensor


@dataclass(frozen=True)
class Gaps:
    """The cells that some patterns lack in blocks that they have.

    Attributes:
        pattern: (s,) index of each pattern.
        cell: (s, G) index of each missing cell; P, one after the last, where a pattern has fewer than G.
    """

    pattern: Tensor
    cell: Tensor


@dataclass(frozen=True)
class Groups:
    """Rows of equal pattern in groups of equal size, so that one batched product serves all of them.

    Attributes:
        pattern: (G,) of each group.
        row: (G, g) the rows of each group; any row where the group has fewer.
        there: (G, g) 1 where ``row`` belongs to the group, float64.
        place: (N,) index of each row in the flattened groups.
    """

    pattern: Tensor
    row: Tensor
    there: Tensor
    place: Tensor


@dataclass(frozen=True)
class BlockCells:
    """The cells of one block, of the n rows that have it.

    Attributes:
        slice: its cells among all P.
        row: (n,) row numbers.
        cells: (n, D), 0 where not measured.
        squares: (n, D) squared cells.
    """

    slice: slice
    row: Tensor
    cells: Tensor
    squares: Tensor


@dataclass(frozen=True)
class ObservedRows:
    """Rows as EM uses them in every iteration.

    Attributes:
        blocks: the cells of each block.
        pattern: (N,) index of each row's pattern.
        groups: the rows of each pattern.
        has: (S, M) float64, 1 where a pattern has a measured cell of the block.
        counts: (S, M) float64, number of measured cells.
        gaps: of the patterns that have any, in parts of about equally many.
    """

    blocks: tuple[BlockCells, ...]
    pattern: Tensor
    groups: Groups
    has: Tensor
    counts: Tensor
    gaps: tuple[Gaps, ...]

    @property
    def slices(self) -> tuple[slice, ...]:
        """The cells of each block."""
        return tuple(block.slice for block in self.blocks)


def make_rows(cells: Tensor, measured: Tensor) -> Rows:
    """Find the distinct patterns of measured cells.

    Args:
        cells: (N, P); values of cells that are not measured are ignored.
        measured: (N, P) bool.
    """
    n, p = measured.shape
    # Eight cells are packed into one number, so that comparing rows is fast.
    padded = torch.nn.functional.pad(measured.to(torch.uint8), (0, -p % 8)).reshape(n, -1, 8)
    powers = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8, device=measured.device)
    packed = (padded * powers).sum(dim=2, dtype=torch.int64)
    _, pattern = torch.unique(packed, dim=0, return_inverse=True)
    first = torch.full((int(pattern.max()) + 1 if n else 0,), n, device=measured.device)
    first.scatter_reduce_(0, pattern, torch.arange(n, device=measured.device), "amin")
    return Rows(torch.where(measured, cells, 0), measured[first].to(cells.dtype), pattern)


def observe(rows: Rows, block: Tensor) -> ObservedRows:
    """Prepare rows for EM.

    Args:
        rows: N incomplete rows.
        block: (P,) block of each cell, ascending.
    """
    slices = block_slices(block)
    counts = torch.stack([rows.masks[:, cells].sum(dim=1) for cells in slices], dim=1).double()
    has = (counts > 0).double()
    widths = counts.new_tensor([cells.stop - cells.start for cells in slices])
    lacking = (has * widths - counts).sum(dim=1).long()
    return ObservedRows(
        blocks=tuple(_cells_of_block(rows, cells, has[:, m] > 0) for m, cells in enumerate(slices)),
        pattern=rows.pattern,
        groups=group_rows(rows.pattern, len(rows.masks)),
        has=has,
        counts=counts,
        gaps=_find_gaps(rows.masks, has, block, lacking),
    )


def _cells_of_block(rows: Rows, cells: slice, has: Tensor) -> BlockCells:
    """The cells of a block, of the rows whose pattern has it."""
    row = has[rows.pattern].nonzero().squeeze(1)
    here = rows.cells[row, cells]
    return BlockCells(cells, row, here, here.square())


def hide_block(observed: ObservedRows, column: int) -> ObservedRows:
    """The same rows, with the patterns of rows from which a block is hidden; cells are left as they are."""
    kept = torch.ones_like(observed.has[0])
    kept[column] = 0
    hidden, p = observed.slices[column], observed.slices[-1].stop
    gaps = tuple(
        Gaps(g.pattern, torch.where((g.cell >= hidden.start) & (g.cell < hidden.stop), p, g.cell))
        for g in observed.gaps
    )
    return replace(observed, has=observed.has * kept, counts=observed.counts * kept, gaps=gaps)


def group_rows(pattern: Tensor, patterns: int) -> Groups:
    """Split the rows of each pattern into groups of a size at which at most half the places stay empty.

    Args:
        pattern: (N,) index of each row's pattern.
        patterns: S.
    """
    n, device = len(pattern), pattern.device
    size = max(1, min(LARGEST_GROUP, n // max(1, patterns)))
    rows_of = torch.bincount(pattern, minlength=patterns)
    groups_of = (rows_of + size - 1) // size
    first_group = groups_of.cumsum(0) - groups_of
    order = pattern.argsort(stable=True)
    within = torch.arange(n, device=device) - (rows_of.cumsum(0) - rows_of)[pattern[order]]
    place = torch.empty_like(pattern)
    place[order] = first_group[pattern[order]] * size + within
    total = int(groups_of.sum())
    row = torch.zeros(total * size, dtype=torch.long, device=device)
    there = torch.zeros(total * size, dtype=torch.float64, device=device)
    row[place] = torch.arange(n, device=device)
    there[place] = 1.0
    owner = torch.arange(patterns, device=device).repeat_interleave(groups_of)
    return Groups(owner, row.reshape(total, size), there.reshape(total, size), place)


def block_slices(block: Tensor) -> tuple[slice, ...]:
    """The cells of each block, which are neighbours."""
    ends = torch.bincount(block).cumsum(0).tolist()
    return tuple(slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True))


def _find_gaps(masks: Tensor, has: Tensor, block: Tensor, lacking: Tensor) -> tuple[Gaps, ...]:
    """The gaps of every pattern that lacks cells, those with few gaps first."""
    order = lacking.argsort(stable=True)
    order = order[lacking[order] > 0]
    parts = []
    while len(order):
        # The largest part in which s patterns, with up to G gaps each, stay below the limit.
        size = lacking[order] * torch.arange(1, len(order) + 1, device=order.device)
        count = max(1, int((size <= GAPS_AT_ONCE).sum()))
        here, order = order[:count], order[count:]
        missing = (masks[here] == 0) & (has[here][:, block] > 0)
        there, cell = missing.to(torch.uint8).topk(int(lacking[here].max()), dim=1)
        parts.append(Gaps(here, torch.where(there > 0, cell, masks.shape[1])))
    return tuple(parts)
