"""A mixture of low-rank factor analysers on incomplete rows: posterior, moments and draws per pattern.

Row i belongs to cluster c with probability ``weight[c]``, has factors z ~ N(0, I_R), and cells
x_p = loading[c, p] . (1, z) + e_p with e_p ~ N(0, noise[p]); the first loading is the mean. Loadings have a
posterior with covariance noise[p] * spread[c, m(p)], which the predictive variance includes.

Every R x R matrix depends only on the pattern of measured cells, and is computed once per pattern (S of
them), from one matrix per block and corrections for cells that are missing in a present block.
Shapes: N rows, P cells in M blocks, K clusters, Q = R + 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from hcat_builtin.imputers.incomplete_rows import BlockCells, ObservedRows, Rows, make_rows, observe
from hcat_core.interfaces import categories, normal, shared_normal

__all__ = ["FactorMixture", "Posterior", "Rows", "draw", "make_rows", "moments", "posterior"]


@dataclass(frozen=True)
class FactorMixture:
    """The parameters of the mixture.

    Attributes:
        weight: (K,) probability of each cluster.
        loading: (K, P, Q) posterior means of loadings, the cluster's mean first.
        noise: (P,) variances.
        spread: (K, M, Q, Q) posterior covariances of loadings, in units of the noise.
        block: (P,) the block of each cell, ascending.
    """

    weight: Tensor
    loading: Tensor
    noise: Tensor
    spread: Tensor
    block: Tensor

    def to(self, device: torch.device) -> FactorMixture:
        """The same mixture on a device."""
        return FactorMixture(
            self.weight.to(device),
            self.loading.to(device),
            self.noise.to(device),
            self.spread.to(device),
            self.block.to(device),
        )

    def only(self, cells: slice) -> FactorMixture:
        """The marginal distribution of some cells."""
        return FactorMixture(
            self.weight, self.loading[:, cells], self.noise[cells], self.spread, self.block[cells]
        )


@dataclass(frozen=True)
class Posterior:
    """Clusters and factors of N rows, given their measured cells.

    Attributes:
        share: (N, K) probability of each cluster.
        mean: (N, K, R) of the factors in each cluster.
        covariance: (S, K, R, R) of the factors, by pattern.
        pattern: (N,) index of each row's pattern.
        log_likelihood: (N,) of the measured cells.
    """

    share: Tensor
    mean: Tensor
    covariance: Tensor
    pattern: Tensor
    log_likelihood: Tensor

    def rows(self, which: Tensor) -> Posterior:
        """Those of some rows: their numbers, or a mask."""
        return Posterior(
            self.share[which],
            self.mean[which],
            self.covariance,
            self.pattern[which],
            self.log_likelihood[which],
        )


@dataclass(frozen=True)
class PosteriorSums:
    """Sums over the measured cells of each row or pattern, all that the posterior depends on.

    Attributes:
        pull: (N, K, Q) of cells times loadings, over the noise.
        square: (N,) of squared cells, over the noise.
        gram: (S, K, Q, Q) of E[loading loading'], over the noise.
        constant: (S,) of log(2 pi noise).
    """

    pull: Tensor
    square: Tensor
    gram: Tensor
    constant: Tensor


def posterior(model: FactorMixture, rows: Rows) -> Posterior:
    """Clusters and factors given the measured cells of each row: the E-step of EM."""
    return expect(model, observe(rows, model.block))


def expect(model: FactorMixture, observed: ObservedRows) -> Posterior:
    """The same as ``posterior``, for rows that are prepared once for many models."""
    sums = pattern_sums(model, observed, block_sums(model, observed.slices))
    parts = [row_sums(model, block) for block in observed.blocks]
    return condition(model, PosteriorSums(*total_of_rows(observed, parts), *sums), observed)


def total_of_rows(observed: ObservedRows, parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """(N, K, Q) and (N,) totals over blocks of what ``row_sums`` gives for each."""
    n, (pull, square) = len(observed.pattern), parts[0]
    pull, square = pull.new_zeros((n, *pull.shape[1:])), square.new_zeros(n)
    for block, (of_pull, of_square) in zip(observed.blocks, parts, strict=True):
        pull = pull.index_add_(0, block.row, of_pull)
        square = square.index_add_(0, block.row, of_square)
    return pull, square


def row_sums(model: FactorMixture, block: BlockCells) -> tuple[Tensor, Tensor]:
    """(n, K, Q) sums of a block's cells times loadings, and (n,) of squared cells, over the noise."""
    part = model.only(block.slice)
    k, p, q = part.loading.shape
    scaled = (part.loading / part.noise[:, None]).permute(1, 0, 2).reshape(p, k * q)
    # These products are the only ones whose cost grows with N x P.
    pull = (block.cells @ scaled).reshape(-1, k, q).double()
    return pull, (block.squares @ (1 / part.noise)).double()


def condition(model: FactorMixture, sums: PosteriorSums, observed: ObservedRows) -> Posterior:
    """Clusters and factors of N rows, given the sums over their measured cells."""
    pull, gram, pattern = sums.pull, sums.gram, observed.pattern
    precision = gram[..., 1:, 1:] + torch.eye(gram.shape[-1] - 1, dtype=gram.dtype, device=gram.device)
    root = torch.linalg.cholesky(precision)
    covariance = torch.cholesky_inverse(root)
    log_det = 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    b = pull[..., 1:] - gram[..., 1:, 0][pattern]
    groups = observed.groups
    grouped = b[groups.row].transpose(1, 2) @ covariance[groups.pattern]  # (G, K, g, R)
    mean = grouped.transpose(1, 2).flatten(0, 1)[groups.place]
    square = sums.square.unsqueeze(1) - 2 * pull[..., 0] - (b * mean).sum(dim=-1)
    of_pattern = sums.constant.unsqueeze(1) + log_det + gram[..., 0, 0]
    log_p = model.weight.double().log() - 0.5 * (of_pattern[pattern] + square)
    total = torch.logsumexp(log_p, dim=1)
    return Posterior((log_p - total.unsqueeze(1)).exp(), mean, covariance, pattern, total)


def moments(model: FactorMixture, factors: Posterior) -> tuple[Tensor, Tensor]:
    """(N, P) predictive mean and variance of every cell, with noise and the uncertainty of loadings."""
    k, p, q = model.loading.shape
    dtype = model.loading.dtype
    share = factors.share.to(dtype)
    z = pad(factors.mean.to(dtype), (1, 0), value=1.0)  # (N, K, Q)
    weighted = (share.unsqueeze(2) * z).reshape(-1, k * q)
    mean = weighted @ model.loading.transpose(1, 2).reshape(k * q, p)
    covariance, spread = factors.covariance.to(dtype), model.spread.to(dtype)
    of_loadings = [_quadratic(z[:, c], covariance[:, c], spread[c], factors.pattern) for c in range(k)]
    noise = 1 + (share.unsqueeze(2) * torch.stack(of_loadings, dim=1)).sum(dim=1)  # (N, M)
    variance = model.noise * noise[:, model.block]
    for c in range(k):
        loading = model.loading[c]
        outer = (loading[:, 1:, None] * loading[:, None, 1:]).reshape(p, -1)
        within = (covariance[:, c].flatten(1) @ outer.T)[factors.pattern]
        if k > 1:
            from_mean = z[:, c] @ loading.T - mean
            within = within.addcmul_(from_mean, from_mean)
        variance = variance.addcmul_(share[:, c, None], within)
    return mean, variance.clamp_min(1e-8)


def draw(model: FactorMixture, factors: Posterior, n: int, generator: torch.Generator) -> Tensor:
    """Draw (n, N, P) cells jointly: loadings for all rows, then each row's cluster, factors and noise."""
    k, p, q = model.loading.shape
    rows, dtype, device = len(factors.mean), model.loading.dtype, model.loading.device
    root = torch.linalg.cholesky(factors.covariance)
    result = torch.empty((n, rows, p), dtype=dtype, device=device)
    uncertain = _root(model.spread)[:, model.block] * model.noise.sqrt()[:, None, None]  # (K, P, Q, Q)
    for number in range(n):
        deviation = shared_normal((k, p, q), generator, device=device, dtype=dtype)
        loading = model.loading + torch.einsum("kpqr,kpr->kpq", uncertain, deviation)
        cluster = categories(factors.share, generator)
        every = torch.arange(rows, device=device)
        white = normal((rows, q - 1, 1), generator, rows=0, device=device, dtype=torch.float64)
        z = factors.mean[every, cluster] + (root[factors.pattern, cluster] @ white).squeeze(-1)
        extended = pad(z.to(dtype), (1, 0), value=1.0)
        noise = normal((rows, p), generator, rows=0, device=device, dtype=dtype)
        for c in range(k):
            mine = cluster == c
            result[number, mine] = extended[mine] @ loading[c].T + noise[mine] * model.noise.sqrt()
    return result


def _root(covariance: Tensor) -> Tensor:
    """(..., Q, Q) roots R of covariances R R', which may be singular."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp_min(0).sqrt().unsqueeze(-2)
    return root


@dataclass(frozen=True)
class BlockSums:
    """Sums over all cells of each block, measured or not.

    Attributes:
        gram: (K, M, Q, Q) of loadings' products, over the noise.
        constant: (M,) of log(2 pi noise).
    """

    gram: Tensor
    constant: Tensor


def block_sums(model: FactorMixture, slices: tuple[slice, ...]) -> BlockSums:
    """The sums over each block, from which those of every pattern follow."""
    scaled = model.loading / model.noise.sqrt()[:, None]
    log_noise = model.noise.double().log() + math.log(2 * math.pi)
    return BlockSums(
        gram=torch.stack([scaled[:, cells].mT @ scaled[:, cells] for cells in slices], dim=1).double(),
        constant=torch.stack([log_noise[cells].sum() for cells in slices]),
    )


def pattern_sums(model: FactorMixture, observed: ObservedRows, blocks: BlockSums) -> tuple[Tensor, Tensor]:
    """(S, K, Q, Q) sums of E[loading loading'] / noise, and (S,) of log(2 pi noise), per pattern.

    Each is the sum over the blocks that a pattern has, less its gaps within them.
    """
    gram = torch.einsum("sm,kmij->skij", observed.has, blocks.gram)
    gram = gram + torch.einsum("sm,kmij->skij", observed.counts, model.spread.double())
    constant = observed.has @ blocks.constant
    if not observed.gaps:
        return gram, constant
    # One more cell, without loadings, stands for the gaps that a pattern has fewer than others.
    scaled = pad(model.loading / model.noise.sqrt()[:, None], (0, 0, 0, 1))
    log_noise = pad(model.noise.double().log() + math.log(2 * math.pi), (0, 1))
    products, constants = [], []
    for gaps in observed.gaps:
        missing = scaled[:, gaps.cell]  # (K, s, G, Q)
        products.append((missing.mT @ missing).transpose(0, 1))
        constants.append(log_noise[gaps.cell].sum(dim=1))
    patterns = torch.cat([gaps.pattern for gaps in observed.gaps])
    gram = gram.index_add(0, patterns, torch.cat(products).double(), alpha=-1)
    return gram, constant.index_add(0, patterns, torch.cat(constants), alpha=-1)


def _quadratic(z: Tensor, covariance: Tensor, spread: Tensor, pattern: Tensor) -> Tensor:
    """(N, M) E[z' spread z] over the posterior: the variance due to loadings, in units of the noise."""
    at_mean = torch.einsum("nq,mqr,nr->nm", z, spread, z)
    around = torch.einsum("mqr,sqr->sm", spread[:, 1:, 1:], covariance)
    return at_mean + around[pattern]
