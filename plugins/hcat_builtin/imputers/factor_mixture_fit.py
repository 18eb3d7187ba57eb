"""Fitting a ``FactorMixture`` by EM on incomplete rows, with a posterior over loadings.

EM for the mixture is that of Ghahramani and Hinton (1996). Loadings have the prior
N(0, ``scale[c, m, q]``), one variance per cluster, block and factor, which is learned too (automatic
relevance determination, as in Bishop 1999): factors that a block does not need shrink to zero, so a rank
higher than needed does no harm.

Shapes: N rows in S patterns, P cells in M blocks, K clusters, R factors, Q = R + 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn.functional import pad

from hcat_builtin.imputers.factor_mixture import FactorMixture, Posterior, Rows, expect
from hcat_builtin.imputers.factor_rotation import block_rotation
from hcat_builtin.imputers.incomplete_rows import Gaps, ObservedRows, observe

TOLERANCE = 1e-5  # change of the log-likelihood, relative to its size, below which EM has converged
FEWEST_ITERATIONS = 7  # before EM may have converged
SWEEPS = 3  # of the rotation of the first directions, at most
NOISE_PRIOR = 20.0  # number of rows that the prior counts for: cells of a block are equally noisy
SCALE_PRIOR = 4.0  # number of cells that the prior counts for: blocks have equal loadings
LEAST_NOISE = 1e-3  # variance of a standardised cell; keeps cells that follow from others finite


@dataclass(frozen=True)
class Fit:
    """A mixture after some iterations of EM, from which more can follow.

    Attributes:
        model: the mixture.
        scale: (K, M, Q) prior variances of its loadings.
        log_likelihood: mean per row at each iteration.
    """

    model: FactorMixture
    scale: Tensor
    log_likelihood: tuple[float, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether the last iteration hardly changed the log-likelihood."""
        trace = self.log_likelihood
        if len(trace) < FEWEST_ITERATIONS:
            return False
        return abs(trace[-1] - trace[-2]) < TOLERANCE * max(1.0, abs(trace[-1]))

    def anew(self) -> Fit:
        """The same mixture before any iteration, for other rows."""
        return replace(self, log_likelihood=())


@dataclass(frozen=True)
class TrainingRows:
    """The rows of a fit, and their sums that no iteration changes.

    Attributes:
        rows: the rows.
        observed: the same, as EM uses them.
        block: (P,) block of each cell.
        squares: (P,) sum of squared cells.
        seen: (P,) number of rows in which a cell is measured.
    """

    rows: Rows
    observed: ObservedRows
    block: Tensor
    squares: Tensor
    seen: Tensor

    @classmethod
    def of(cls, rows: Rows, block: Tensor) -> TrainingRows:
        """Prepare N incomplete rows of standardised cells."""
        observed = observe(rows, block)
        of_pattern = torch.bincount(rows.pattern, minlength=len(rows.masks)).to(rows.masks.dtype)
        squares = torch.cat([part.squares.sum(dim=0) for part in observed.blocks])
        return cls(rows, observed, block, squares.double(), (of_pattern @ rows.masks).double())

    @property
    def n(self) -> int:
        """N."""
        return len(self.rows.cells)


@dataclass(frozen=True)
class Start:
    """Where EM starts from, for any rank up to R.

    Attributes:
        weight: (K,) probability of each cluster.
        mean: (K, P) of each cluster.
        direction: (K, P, R) principal directions times standard deviations, the longest first.
        squares: (P,) squared distances of measured cells from the mean of their cluster, summed over rows.
    """

    weight: Tensor
    mean: Tensor
    direction: Tensor
    squares: Tensor


@dataclass(frozen=True)
class _Products:
    """Expected products of the factors of every cluster.

    Attributes:
        by_block: (K, M, Q, Q) factors with factors, summed over the rows that have the block.
        by_pattern: (S, K, Q, Q) the same, summed over the rows of each pattern.
        cross: (K, P, Q) measured cells with factors.
    """

    by_block: Tensor
    by_pattern: Tensor
    cross: Tensor


def fit_factor_mixture(
    rows: Rows,
    block: Tensor,
    *,
    rank: int,
    clusters: int,
    iterations: int,
    seed: int,
    start: FactorMixture | None = None,
) -> Fit:
    """Run EM until the log-likelihood per row gains less than 1e-5 of its size.

    Args:
        rows: N incomplete rows of standardised cells.
        block: (P,) block of each cell.
        rank: R, at most.
        clusters: K.
        iterations: at most.
        seed: of k-means and the randomised SVD.
        start: a one-cluster fit, in whose factors k-means finds the first clusters; needed for K > 1.
    """
    training = TrainingRows.of(rows, block)
    members = everyone(training)
    if clusters > 1:
        assert start is not None
        members = first_clusters(training, clusters, seed, start)
    first = begin(training, principal_directions(training, members, rank, seed), rank)
    return improve(first, training, iterations)


def everyone(training: TrainingRows) -> list[Tensor]:
    """One cluster of all rows, as a mask (N,)."""
    return [torch.ones(training.n, dtype=torch.bool)]


def first_clusters(training: TrainingRows, clusters: int, seed: int, start: FactorMixture) -> list[Tensor]:
    """K masks (N,) of the rows that each cluster starts with."""
    loading = start.loading[0, :, 1:].double()
    # Distances between these scores are distances between the cells that the factors stand for.
    values, vectors = torch.linalg.eigh(loading.T @ loading)
    scores = expect(start, training.observed).mean[:, 0] @ vectors * values.clamp_min(0).sqrt()
    label = torch.from_numpy(KMeans(clusters, n_init=10, random_state=seed).fit_predict(scores.numpy()))
    return [label == c for c in range(clusters)]


def principal_directions(training: TrainingRows, members: list[Tensor], rank: int, seed: int) -> Start:
    """Mean and principal directions of each of K clusters, whose rows are masks (N,)."""
    cells, masks = training.rows.cells, training.rows.masks
    p = cells.shape[1]
    mean = torch.zeros((len(members), p))
    direction = torch.zeros((len(members), p, rank))
    squares = torch.zeros(p)
    for c, mine in enumerate(members):
        size = int(mine.sum())
        mask = masks[training.rows.pattern[mine]]
        seen = mask.sum(dim=0)
        here = cells[mine]
        mean[c] = here.sum(dim=0) / (seen + 1.0)  # shrunk a little towards the cohort's
        here.sub_(mean[c]).mul_(mask)
        squares += here.square().sum(dim=0)
        # A cell that half the rows lack has half its variance here, which is undone before the SVD.
        here.mul_((size / seen.clamp_min(1.0)).sqrt().clamp_max(3.0))
        usable = min(rank, size - 1, p)
        if usable > 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                _, s, v = torch.svd_lowrank(here, q=min(usable + 5, *here.shape))
            direction[c, :, :usable] = v[:, :usable] * s[:usable] / size**0.5
    weight = (torch.stack([mine.sum() for mine in members]) + 1.0) / (len(cells) + len(members))
    return Start(weight, mean, direction, squares)


def begin(training: TrainingRows, start: Start, rank: int) -> Fit:
    """A mixture with the first directions, turned so that blocks depend on few of them, before any EM."""
    slices = training.observed.slices
    direction = start.direction[..., :rank].double()
    products = torch.stack([direction[:, cells].mT @ direction[:, cells] for cells in slices], dim=1)
    widths = torch.bincount(training.block).double()
    turned = (direction @ block_rotation(products, widths, SWEEPS)).to(start.mean.dtype)
    seen = training.seen.to(turned.dtype)
    noise = start.squares / seen.clamp_min(1.0) - turned.square().sum(dim=2).mean(dim=0)
    k, q = len(start.weight), rank + 1
    model = FactorMixture(
        weight=start.weight,
        loading=torch.cat([start.mean.unsqueeze(2), turned], dim=2),
        noise=torch.where(seen > 0, noise, 1.0).clamp_min(0.1),
        spread=torch.zeros((k, len(slices), q, q)),
        block=training.block,
    )
    return Fit(model, torch.ones((k, len(slices), q), dtype=torch.float64))


def improve(fit: Fit, training: TrainingRows, iterations: int) -> Fit:
    """At most so many iterations of EM, until it has converged."""
    for _ in range(iterations):
        expected = expect(fit.model, training.observed)
        trace = (*fit.log_likelihood, float(expected.log_likelihood.mean()))
        model, scale = _maximise(fit, training, expected)
        fit = Fit(model, scale, trace)
        if fit.converged:
            break
    return fit


def _maximise(fit: Fit, training: TrainingRows, expected: Posterior) -> tuple[FactorMixture, Tensor]:
    """M-step: the mixture, and the prior variances of its loadings, from the expected factors."""
    model, observed = fit.model, training.observed
    k, p, q = model.loading.shape
    slices = observed.slices
    products = _expected_products(observed, expected)
    cross = _with_gaps(observed, products, model.loading)
    noise = model.noise.double()
    noise_of_block = torch.stack([noise[cells].sum() for cells in slices])
    widths = torch.tensor([cells.stop - cells.start for cells in slices], dtype=torch.float64)
    ridge = (noise_of_block / widths)[:, None] / fit.scale
    spread = torch.linalg.inv(products.by_block + torch.diag_embed(ridge))
    loading = torch.cat([cross[:, cells] @ spread[:, m] for m, cells in enumerate(slices)], dim=1)
    second = torch.stack([loading[:, cells].square().sum(dim=1) for cells in slices], dim=1)
    residual = _residual(products, loading, spread, noise, observed)
    scale = second + noise_of_block[:, None] * spread.diagonal(dim1=-2, dim2=-1)
    # One prior variance per cluster, block and factor, shrunk a little towards that of all blocks.
    scale = (scale + SCALE_PRIOR * scale.sum(dim=1, keepdim=True) / p) / (widths[:, None] + SCALE_PRIOR)
    weight = (expected.share.sum(dim=0) + 1) / (len(expected.share) + k)
    dtype = model.loading.dtype
    new = FactorMixture(
        weight=weight.to(dtype),
        loading=loading.to(dtype),
        noise=_shrunk_noise(training.squares + residual, training.seen, slices, model.block).to(dtype),
        spread=spread.to(dtype),
        block=model.block,
    )
    return new, scale.clamp_min(1e-8)


def _residual(
    products: _Products, loading: Tensor, spread: Tensor, noise: Tensor, observed: ObservedRows
) -> Tensor:
    """(P,) expected squared residuals over measured cells, less the squared cells themselves."""
    explained = torch.cat(
        [loading[:, cells] @ products.by_block[:, m] for m, cells in enumerate(observed.slices)], dim=1
    )
    residual = ((explained - 2 * products.cross) * loading).sum(dim=(0, 2))
    of_spread = (spread * products.by_block).sum(dim=(0, 2, 3))
    widths = torch.tensor([cells.stop - cells.start for cells in observed.slices])
    residual += of_spread.repeat_interleave(widths) * noise
    of_gaps = residual.new_zeros(len(residual) + 1)
    for gaps, here, predicted in _predict_gaps(observed, products, loading):
        squares = (here * predicted).sum(dim=(0, 3)).double()
        of_gaps.index_add_(0, gaps.cell.flatten(), squares.flatten())
    return residual - of_gaps[:-1]


def _with_gaps(observed: ObservedRows, products: _Products, loading: Tensor) -> Tensor:
    """(K, P, Q) products of factors with cells of the present blocks; loadings predict missing ones."""
    if not observed.gaps:
        return products.cross
    k, p, q = loading.shape
    total = loading.new_zeros((k, p + 1, q))
    for gaps, _, predicted in _predict_gaps(observed, products, loading):
        total.index_add_(1, gaps.cell.flatten(), predicted.flatten(1, 2))
    return products.cross + total[:, :-1]


def _predict_gaps(
    observed: ObservedRows, products: _Products, loading: Tensor
) -> Iterator[tuple[Gaps, Tensor, Tensor]]:
    """Gaps, (K, s, G, Q) their loadings, and the same times the products of their rows' factors."""
    padded = pad(loading.to(observed.blocks[0].cells.dtype), (0, 0, 0, 1))
    for gaps in observed.gaps:
        here = padded[:, gaps.cell]
        yield gaps, here, here @ products.by_pattern[gaps.pattern].transpose(0, 1).to(here.dtype)


def _expected_products(observed: ObservedRows, expected: Posterior) -> _Products:
    z = pad(expected.mean, (1, 0), value=1.0)  # (N, K, Q)
    n, k, q = z.shape
    weighted = expected.share.unsqueeze(2) * z
    flat = weighted.reshape(n, k * q).to(observed.blocks[0].cells.dtype)
    cross = torch.cat([part.cells.T @ flat[part.row] for part in observed.blocks]).reshape(-1, k, q)
    groups = observed.groups
    of_group = (weighted[groups.row] * groups.there[..., None, None]).permute(0, 2, 3, 1)
    of_group = of_group @ z[groups.row].transpose(1, 2)  # (G, K, Q, Q)
    share = torch.zeros((len(observed.has), k), dtype=z.dtype)
    share.index_add_(0, expected.pattern, expected.share)
    by_pattern = pad(expected.covariance * share[..., None, None], (1, 0, 1, 0))
    by_pattern.index_add_(0, groups.pattern, of_group)
    by_block = torch.einsum("sm,skij->kmij", observed.has, by_pattern)
    return _Products(by_block, by_pattern, cross.transpose(0, 1).double())


def _shrunk_noise(squares: Tensor, seen: Tensor, slices: tuple[slice, ...], block: Tensor) -> Tensor:
    """(P,) noise variances, each shrunk towards that of its block."""
    seen_of_block = torch.stack([seen[cells].sum() for cells in slices])
    of_block = torch.stack([squares[cells].sum() for cells in slices]) / seen_of_block.clamp_min(1.0)
    of_block = torch.where(seen_of_block > 0, of_block, 1.0)
    noise = (squares + NOISE_PRIOR * of_block[block]) / (seen + NOISE_PRIOR)
    return noise.clamp_min(LEAST_NOISE)
