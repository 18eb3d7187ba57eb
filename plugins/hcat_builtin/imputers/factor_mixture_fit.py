"""Fitting a ``FactorMixture`` by EM on incomplete rows, with a posterior over loadings.

EM for the mixture is that of Ghahramani and Hinton (1996). Loadings have the prior
N(0, ``scale[c, m, q]``), one variance per cluster, block and factor, which is learned too (automatic
relevance determination, as in Bishop 1999): factors that a block does not need shrink to zero, so a rank
higher than needed does no harm.

Shapes: N rows in S patterns, P cells in M blocks, K clusters, R factors, Q = R + 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from hcat_builtin.imputers.factor_mixture import FactorMixture, Posterior, Rows, posterior

NOISE_PRIOR = 20.0  # number of rows that the prior counts for: cells of a block are equally noisy
SCALE_PRIOR = 4.0  # number of cells that the prior counts for: blocks have equal loadings
LEAST_NOISE = 1e-3  # variance of a standardised cell; keeps cells that follow from others finite


@dataclass(frozen=True)
class Fit:
    """A fitted mixture and the mean log-likelihood per row at each iteration."""

    model: FactorMixture
    log_likelihood: list[float]


@dataclass(frozen=True)
class _State:
    """A mixture, and the (K, M, Q) prior variances of its loadings."""

    model: FactorMixture
    scale: Tensor


@dataclass(frozen=True)
class _Blocks:
    """Which cells and rows belong to which block; the same for every cluster.

    Attributes:
        membership: (P, M) 1 where a cell belongs to a block.
        cells: (M,) number of cells of each block.
        present: (N, M) 1 where a row has a measured cell of the block.
        gaps: (S, P) 1 where a cell is missing although its block is present.
        noise: (M,) mean noise variance of each block.
    """

    membership: Tensor
    cells: Tensor
    present: Tensor
    gaps: Tensor
    noise: Tensor


@dataclass(frozen=True)
class _Products:
    """Expected products of one cluster's factors.

    Attributes:
        by_pattern: (S, Q * Q) factors with factors, summed over the rows of each pattern.
        by_block: (M, Q, Q) the same, summed over the rows that have the block.
        cross: (P, Q) measured cells with factors.
    """

    by_pattern: Tensor
    by_block: Tensor
    cross: Tensor


@dataclass(frozen=True)
class _ClusterUpdate:
    """The M-step of one cluster.

    Attributes:
        loading: (P, Q) posterior means.
        spread: (M, Q, Q) posterior covariances, in units of the noise.
        scale: (M, Q) expected squared loadings, summed over the cells of each block.
        residual: (P,) expected squared residuals, without the squared cells themselves.
        squares: (P,) squared cells.
        seen: (P,) number of measured cells, weighted by the share of the cluster.
    """

    loading: Tensor
    spread: Tensor
    scale: Tensor
    residual: Tensor
    squares: Tensor
    seen: Tensor


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
    state = _initial(rows, block, rank, _initial_labels(rows, clusters, seed, start), seed)
    trace: list[float] = []
    for _ in range(iterations):
        expected = posterior(state.model, rows)
        trace.append(float(expected.log_likelihood.mean()))
        state = _maximise(state, rows, expected)
        if len(trace) > 5 and trace[-1] - trace[-2] < 1e-4 * max(1.0, abs(trace[-1])) / 10:
            break
    return Fit(state.model, trace)


def _initial_labels(rows: Rows, clusters: int, seed: int, start: FactorMixture | None) -> list[Tensor]:
    """K masks (N,) of the rows that each cluster starts with."""
    if clusters == 1:
        return [torch.ones(len(rows.cells), dtype=torch.bool)]
    assert start is not None
    size = start.loading[0, :, 1:].square().sum(dim=0).sqrt()
    scores = (posterior(start, rows).mean[:, 0] * size).numpy()
    label = torch.from_numpy(KMeans(clusters, n_init=10, random_state=seed).fit_predict(scores))
    return [label == c for c in range(clusters)]


def _initial(rows: Rows, block: Tensor, rank: int, members: list[Tensor], seed: int) -> _State:
    """Means, principal directions and noise of the first clusters."""
    n, p = rows.cells.shape
    clusters, m, q = len(members), int(block.max()) + 1, rank + 1
    loading = torch.zeros((clusters, p, q))
    noise = torch.zeros(p)
    mask = rows.masks[rows.pattern]
    for c, mine in enumerate(members):
        size = int(mine.sum())
        seen = mask[mine].sum(dim=0)
        mean = rows.cells[mine].sum(dim=0) / (seen + 1.0)  # shrunk a little towards the cohort's
        loading[c, :, 0] = mean
        centred = (rows.cells[mine] - mean) * mask[mine]
        # A cell that half the rows lack has half its variance here, which is undone before the SVD.
        inflate = (mine.sum() / seen.clamp_min(1.0)).sqrt().clamp_max(3.0)
        usable = min(rank, size - 1, p)
        if usable > 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                _, s, v = torch.svd_lowrank(centred * inflate, q=min(usable + 5, *centred.shape))
            loading[c, :, 1 : usable + 1] = v[:, :usable] * s[:usable] / max(1, size) ** 0.5
        noise += centred.square().sum(dim=0)
    total = mask.sum(dim=0)
    explained = loading[:, :, 1:].square().sum(dim=2).mean(dim=0)
    noise = torch.where(total > 0, noise / total.clamp_min(1.0) - explained, 1.0).clamp_min(0.1)
    weight = (torch.stack([mine.sum() for mine in members]) + 1.0) / (n + clusters)
    model = FactorMixture(weight, loading, noise, torch.zeros((clusters, m, q, q)), block)
    return _State(model, torch.ones((clusters, m, q), dtype=torch.float64))


def _maximise(state: _State, rows: Rows, expected: Posterior) -> _State:
    """M-step: loadings, noise, prior variances and weights from the expected factors."""
    model = state.model
    k, p, _ = model.loading.shape
    blocks = _block_statistics(model, rows)
    squares = torch.zeros(p, dtype=torch.float64)
    seen = torch.zeros(p, dtype=torch.float64)
    updates = []
    for c in range(k):
        update = _update_cluster(state, rows, expected, blocks, c)
        squares += update.residual
        squares += update.squares
        seen += update.seen
        updates.append(update)
    loading = torch.stack([update.loading for update in updates]).to(model.loading.dtype)
    spread = torch.stack([update.spread for update in updates]).to(model.spread.dtype)
    scale = torch.stack([update.scale for update in updates])
    # One prior variance per cluster, block and factor, shrunk a little towards that of all blocks.
    common = scale.sum(dim=1, keepdim=True) / p
    scale = (scale + SCALE_PRIOR * common) / (blocks.cells[:, None] + SCALE_PRIOR)
    noise = _shrunk_noise(squares, seen, model.block, blocks.membership.double())
    weight = (expected.share.sum(dim=0) + 1) / (len(expected.share) + k)
    model = FactorMixture(
        weight.to(model.weight.dtype), loading, noise.to(model.noise.dtype), spread, model.block
    )
    return _State(model, scale.clamp_min(1e-8))


def _block_statistics(model: FactorMixture, rows: Rows) -> _Blocks:
    membership = torch.nn.functional.one_hot(model.block, model.spread.shape[1]).to(rows.cells.dtype)
    cells = membership.sum(dim=0)
    has = ((rows.masks @ membership) > 0).double()
    return _Blocks(
        membership=membership,
        cells=cells,
        present=has[rows.pattern],
        gaps=(has.to(rows.masks.dtype) @ membership.T - rows.masks).clamp_min(0),
        noise=(model.noise.double() @ membership.double()) / cells,
    )


def _update_cluster(
    state: _State, rows: Rows, expected: Posterior, blocks: _Blocks, c: int
) -> _ClusterUpdate:
    """Loadings of a cluster given its expected factors, and how far they are from its cells."""
    model = state.model
    _, p, q = model.loading.shape
    products = _expected_products(rows, expected, blocks, c)
    cross = products.cross
    outer = products.by_block[model.block]
    if blocks.gaps.any():
        # Products of cells missing in a present block are expected ones, from the current loadings.
        of_gaps = (blocks.gaps.T @ products.by_pattern.to(blocks.gaps.dtype)).reshape(p, q, q).double()
        cross = cross + (of_gaps @ model.loading[c].double().unsqueeze(-1)).squeeze(-1)
        outer = outer - of_gaps
    ridge = blocks.noise[:, None] / state.scale[c]
    spread = torch.linalg.inv(products.by_block + torch.diag_embed(ridge))
    loading = torch.empty((p, q), dtype=torch.float64)
    scale = torch.empty_like(state.scale[c])
    for column in range(len(spread)):
        mine = model.block == column
        loading[mine] = cross[mine] @ spread[column]
        second = loading[mine].square().sum(dim=0)
        scale[column] = second + model.noise[mine].double().sum() * spread[column].diagonal()
    quadratic = torch.einsum("pi,pij,pj->p", loading, outer, loading)
    of_spread = torch.einsum("mij,mji->m", spread, products.by_block)[model.block] * model.noise.double()
    share = expected.share[:, c]
    by_pattern = torch.zeros(len(rows.masks), dtype=torch.float64).index_add_(0, expected.pattern, share)
    return _ClusterUpdate(
        loading=loading,
        spread=spread,
        scale=scale,
        residual=quadratic - 2 * (products.cross * loading).sum(dim=1) + of_spread,
        squares=(share.to(rows.cells.dtype) @ rows.cells.square()).double(),
        seen=rows.masks.T.double() @ by_pattern,
    )


def _expected_products(rows: Rows, expected: Posterior, blocks: _Blocks, c: int) -> _Products:
    share = expected.share[:, c]
    z = torch.nn.functional.pad(expected.mean[:, c], (1, 0), value=1.0)
    q = z.shape[1]
    outer = z.unsqueeze(2) * z.unsqueeze(1)
    outer[:, 1:, 1:] += expected.covariance[expected.pattern, c]
    weighted = (share[:, None, None] * outer).reshape(len(z), -1)
    by_pattern = torch.zeros((len(rows.masks), q * q), dtype=torch.float64)
    by_pattern.index_add_(0, expected.pattern, weighted)
    by_block = (blocks.present.T @ weighted).reshape(-1, q, q)
    cross = (rows.cells.T @ (share.unsqueeze(1) * z).to(rows.cells.dtype)).double()
    return _Products(by_pattern, by_block, cross)


def _shrunk_noise(squares: Tensor, seen: Tensor, block: Tensor, membership: Tensor) -> Tensor:
    """(P,) noise variances, each shrunk towards that of its block."""
    seen_of_block = seen @ membership
    of_block = (squares @ membership) / seen_of_block.clamp_min(1.0)
    of_block = torch.where(seen_of_block > 0, of_block, 1.0)
    noise = (squares + NOISE_PRIOR * of_block[block]) / (seen + NOISE_PRIOR)
    return noise.clamp_min(LEAST_NOISE)
