"""Fitting a ``FactorMixture`` by EM on incomplete rows, with a posterior over loadings.

Ghahramani and Hinton (1996) give EM for the mixture; loadings get the prior N(0, ``scale[c, m, q]``), one
variance for each cluster, block and factor, learned with them (automatic relevance determination, as in
Bishop 1999): factors that a block does not need shrink away, so a generous rank does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from hcat_builtin.imputers.factor_mixture import FactorMixture, Posterior, Rows, posterior

NOISE_PRIOR = 20.0  # rows' worth of belief that cells of a block are equally noisy
SCALE_PRIOR = 4.0  # cells' worth of belief that blocks have equal loadings
LEAST_NOISE = 1e-3  # of a standardised cell: a column that follows from others is not exactly so


@dataclass(frozen=True)
class Fit:
    """A fitted mixture and the log-likelihood a row, by iteration."""

    model: FactorMixture
    log_likelihood: list[float]


def fit_factor_mixture(
    rows: Rows,
    block: Tensor,
    *,
    rank: int,
    clusters: int,
    iterations: int,
    seed: int,
    start: FactorMixture | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Fit:
    """EM until the log-likelihood a row gains less than 1e-4 of its size, or ``iterations``.

    Args:
        rows: N incomplete rows of standardised cells.
        block: (P,) block of each cell.
        rank: R, at most.
        clusters: K.
        iterations: at most.
        seed: of k-means and the randomised SVD.
        start: a one-cluster fit whose factors tell where clusters may be; needed for K > 1.
    """
    state = _initial(rows, block, rank, clusters, seed, start)
    trace: list[float] = []
    for _ in range(iterations):
        found = posterior(state.model, rows)
        trace.append(float(found.log_likelihood.mean()))
        state = _maximise(state, rows, found)
        if len(trace) > 5 and trace[-1] - trace[-2] < 1e-4 * max(1.0, abs(trace[-1])) / 10:
            break
    return Fit(state.model, trace)


@dataclass(frozen=True)
class _State:
    """A mixture, and the (K, M, Q) prior variances of its loadings."""

    model: FactorMixture
    scale: Tensor


def _initial(
    rows: Rows, block: Tensor, rank: int, clusters: int, seed: int, start: FactorMixture | None
) -> _State:
    n = len(rows.cells)
    label = torch.zeros(n, dtype=torch.int64)
    if clusters > 1:
        assert start is not None
        found = posterior(start, rows)
        size = start.loading[0, :, 1:].square().sum(dim=0).sqrt()
        scores = (found.mean[:, 0] * size).numpy()
        label = torch.from_numpy(KMeans(clusters, n_init=10, random_state=seed).fit_predict(scores)).long()
    m, q = int(block.max()) + 1, rank + 1
    p = rows.cells.shape[1]
    loading = torch.zeros((clusters, p, q))
    noise = torch.zeros(p)
    mask = rows.masks[rows.pattern]
    for c in range(clusters):
        mine = label == c
        seen = mask[mine].sum(dim=0)
        mean = rows.cells[mine].sum(dim=0) / (seen + 1.0)  # shrunk a little towards the cohort's
        loading[c, :, 0] = mean
        centred = (rows.cells[mine] - mean) * mask[mine]
        # A cell half the rows lack looks half as variable: undo it before the directions are taken.
        inflate = (mine.sum() / seen.clamp_min(1.0)).sqrt().clamp_max(3.0)
        usable = min(rank, int(mine.sum()) - 1, p)
        if usable > 0:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                _, s, v = torch.svd_lowrank(centred * inflate, q=min(usable + 5, *centred.shape))
            loading[c, :, 1 : usable + 1] = v[:, :usable] * s[:usable] / max(1, int(mine.sum())) ** 0.5
        noise += centred.square().sum(dim=0)
    total = mask.sum(dim=0)
    explained = loading[:, :, 1:].square().sum(dim=2).mean(dim=0)
    noise = torch.where(total > 0, noise / total.clamp_min(1.0) - explained, 1.0)
    noise = noise.clamp_min(0.1)
    weight = (torch.bincount(label, minlength=clusters) + 1.0) / (n + clusters)
    model = FactorMixture(weight, loading, noise, torch.zeros((clusters, m, q, q)), block)
    return _State(model, torch.ones((clusters, m, q), dtype=torch.float64))


def _maximise(state: _State, rows: Rows, found: Posterior) -> _State:
    """M-step: loadings, noise, prior variances and weights from the expected factors."""
    model = state.model
    k, p, q = model.loading.shape
    m = model.spread.shape[1]
    blocks = torch.nn.functional.one_hot(model.block, m).to(rows.cells.dtype)
    cells_of = blocks.sum(dim=0)
    has = ((rows.masks @ blocks) > 0).double()  # (S, M)
    present = has[rows.pattern]
    # Cells lacking in a block that is there: their products are expected ones, from the old loadings.
    gap_masks = (has.to(rows.masks.dtype) @ blocks.T - rows.masks).clamp_min(0)
    gappy = bool(gap_masks.any())
    block_noise = (model.noise.double() @ blocks.double()) / cells_of
    loading = torch.empty_like(model.loading)
    spread = torch.empty_like(model.spread)
    scale = torch.empty_like(state.scale)
    squares = torch.zeros(p, dtype=torch.float64)
    seen = torch.zeros(p, dtype=torch.float64)
    n_patterns = len(rows.masks)
    for c in range(k):
        share = found.share[:, c]
        z = torch.nn.functional.pad(found.mean[:, c], (1, 0), value=1.0)
        outer = z.unsqueeze(2) * z.unsqueeze(1)
        outer[:, 1:, 1:] += found.covariance[found.pattern, c]
        weighted = (share[:, None, None] * outer).reshape(len(z), -1)
        by_pattern = torch.zeros((n_patterns, q * q), dtype=torch.float64)
        by_pattern.index_add_(0, found.pattern, weighted)
        by_block = (present.T @ weighted).reshape(m, q, q)
        cross = (rows.cells.T @ (share.unsqueeze(1) * z).to(rows.cells.dtype)).double()
        measured_cross = cross
        gap_outer = None
        if gappy:
            gap_outer = (gap_masks.T @ by_pattern.to(gap_masks.dtype)).reshape(p, q, q).double()
            old = model.loading[c].double()
            cross = cross + (gap_outer @ old.unsqueeze(-1)).squeeze(-1)
        ridge = block_noise[:, None] / state.scale[c]
        inverse = torch.linalg.inv(by_block + torch.diag_embed(ridge))
        new = torch.empty((p, q), dtype=torch.float64)
        for column in range(m):
            mine = model.block == column
            new[mine] = cross[mine] @ inverse[column]
            spread[c, column] = inverse[column].to(spread.dtype)
            second = new[mine].square().sum(dim=0)
            second += model.noise[mine].double().sum() * inverse[column].diagonal()
            scale[c, column] = second
        loading[c] = new.to(loading.dtype)
        outer_of = by_block[model.block]
        if gap_outer is not None:
            outer_of = outer_of - gap_outer
        quadratic = torch.einsum("pi,pij,pj->p", new, outer_of, new)
        doubt = torch.einsum("mij,mji->m", inverse, by_block)[model.block] * model.noise.double()
        squares += quadratic - 2 * (measured_cross * new).sum(dim=1) + doubt
        weight_of = torch.zeros(n_patterns, dtype=torch.float64).index_add_(0, found.pattern, share)
        squares += _weighted_squares(rows, share)
        seen += rows.masks.T.double() @ weight_of
    # One prior variance a cluster, block and factor, drawn a little to that of all blocks.
    common = scale.sum(dim=1, keepdim=True) / p
    scale = (scale + SCALE_PRIOR * common) / (cells_of[:, None] + SCALE_PRIOR)
    scale = scale.clamp_min(1e-8)
    by_block_noise = (squares @ blocks.double()) / (seen @ blocks.double()).clamp_min(1.0)
    by_block_noise = torch.where(seen @ blocks.double() > 0, by_block_noise, 1.0)
    noise = (squares + NOISE_PRIOR * by_block_noise[model.block]) / (seen + NOISE_PRIOR)
    noise = noise.clamp_min(LEAST_NOISE).to(model.noise.dtype)
    weight = (found.share.sum(dim=0) + 1) / (len(found.share) + k)
    return _State(FactorMixture(weight.to(model.weight.dtype), loading, noise, spread, model.block), scale)


def _weighted_squares(rows: Rows, share: Tensor) -> Tensor:
    """(P,) sum over rows of share times the squared cell."""
    total: Tensor = (share.to(rows.cells.dtype) @ rows.cells.square()).double()
    return total
