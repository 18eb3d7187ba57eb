"""A mixture of low-rank factor analysers on incomplete rows: posterior, moments and draws per pattern.

Row i belongs to cluster c with probability ``weight[c]``, has factors z ~ N(0, I_R), and cells
x_p = loading[c, p] . (1, z) + e_p with e_p ~ N(0, noise[p]); the first loading is the mean. Loadings have a
posterior with covariance noise[p] * spread[c, m(p)], which the predictive variance includes.

Every R x R matrix depends only on the pattern of measured cells, and is computed once per pattern (S of
them). Shapes: N rows, P cells in M blocks, K clusters, Q = R + 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hcat_core.interfaces import categories, normal


@dataclass(frozen=True)
class FactorMixture:
    """The parameters of the mixture.

    Attributes:
        weight: (K,) probability of each cluster.
        loading: (K, P, Q) posterior means of loadings, the cluster's mean first.
        noise: (P,) variances.
        spread: (K, M, Q, Q) posterior covariances of loadings, in units of the noise.
        block: (P,) the block of each cell.
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


def posterior(model: FactorMixture, rows: Rows) -> Posterior:
    """Clusters and factors given the measured cells of each row: the E-step of EM."""
    k, p, q = model.loading.shape
    r = q - 1
    scaled = model.loading / model.noise[:, None]
    # (N, K, Q): one product over all cells and clusters, the only one whose cost grows with N x P.
    pull = (rows.cells @ scaled.permute(1, 0, 2).reshape(p, k * q)).reshape(-1, k, q).double()
    gram = _gram(model, rows.masks)
    precision = gram[..., 1:, 1:] + torch.eye(r, dtype=gram.dtype, device=gram.device)
    root = torch.linalg.cholesky(precision)
    covariance = torch.cholesky_inverse(root)
    log_det = 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
    b = pull[..., 1:] - gram[rows.pattern][..., 1:, 0]
    mean = (covariance[rows.pattern] @ b.unsqueeze(-1)).squeeze(-1)
    square = (rows.cells.square() @ (1 / model.noise)).double().unsqueeze(1)
    square = square - 2 * pull[..., 0] + gram[rows.pattern][..., 0, 0] - (b * mean).sum(dim=-1)
    constant = rows.masks.double() @ (model.noise.double().log() + math.log(2 * math.pi))
    log_p = model.weight.double().log() - 0.5 * (
        constant[rows.pattern].unsqueeze(1) + log_det[rows.pattern] + square
    )
    total = torch.logsumexp(log_p, dim=1)
    return Posterior((log_p - total.unsqueeze(1)).exp(), mean, covariance, rows.pattern, total)


def moments(model: FactorMixture, factors: Posterior) -> tuple[Tensor, Tensor]:
    """(N, P) predictive mean and variance of every cell, with noise and the uncertainty of loadings."""
    k, p, q = model.loading.shape
    dtype = model.loading.dtype
    n = len(factors.mean)
    mean = torch.zeros((n, p), dtype=dtype, device=model.loading.device)
    second = torch.zeros_like(mean)
    for c in range(k):
        loading = model.loading[c]
        z = torch.nn.functional.pad(factors.mean[:, c].to(dtype), (1, 0), value=1.0)
        here = z @ loading.T
        covariance = factors.covariance[:, c].to(dtype)
        outer = (loading[:, 1:, None] * loading[:, None, 1:]).reshape(p, -1)
        by_pattern = covariance.reshape(len(covariance), -1) @ outer.T
        uncertainty = _quadratic(z, covariance, model.spread[c].to(dtype), factors.pattern)
        variance = by_pattern[factors.pattern] + model.noise * (1 + uncertainty[:, model.block])
        share = factors.share[:, c, None].to(dtype)
        mean += share * here
        second += share * (variance + here.square())
    return mean, (second - mean.square()).clamp_min_(1e-8)


def draw(model: FactorMixture, factors: Posterior, n: int, generator: torch.Generator) -> Tensor:
    """Draw (n, N, P) cells jointly: a cluster, its factors, and then the noise of each row."""
    k, p, q = model.loading.shape
    rows, dtype, device = len(factors.mean), model.loading.dtype, model.loading.device
    root = torch.linalg.cholesky(factors.covariance)
    result = torch.empty((n, rows, p), dtype=dtype, device=device)
    for number in range(n):
        cluster = categories(factors.share, generator)
        every = torch.arange(rows, device=device)
        white = normal((rows, q - 1, 1), generator, rows=0, device=device, dtype=torch.float64)
        z = factors.mean[every, cluster] + (root[factors.pattern, cluster] @ white).squeeze(-1)
        extended = torch.nn.functional.pad(z.to(dtype), (1, 0), value=1.0)
        noise = normal((rows, p), generator, rows=0, device=device, dtype=dtype)
        for c in range(k):
            mine = cluster == c
            # The uncertainty of loadings is independent across cells given z, so noise covers it.
            uncertainty = torch.einsum(
                "nq,mqr,nr->nm", extended[mine], model.spread[c].to(dtype), extended[mine]
            )
            scale = (model.noise * (1 + uncertainty[:, model.block])).sqrt()
            result[number, mine] = extended[mine] @ model.loading[c].T + noise[mine] * scale
    return result


def _gram(model: FactorMixture, masks: Tensor) -> Tensor:
    """(S, K, Q, Q) sum over measured cells of E[loading loading'] / noise."""
    k, p, q = model.loading.shape
    scaled = model.loading / model.noise.sqrt()[:, None]
    outer = (scaled.unsqueeze(3) * scaled.unsqueeze(2)).reshape(k, p, q * q)
    gram = torch.stack([masks @ outer[c] for c in range(k)], dim=1).reshape(-1, k, q, q).double()
    blocks = torch.nn.functional.one_hot(model.block, model.spread.shape[1]).to(masks.dtype)
    counts = (masks @ blocks).double()
    return gram + torch.einsum("sm,kmij->skij", counts, model.spread.double())


def _quadratic(z: Tensor, covariance: Tensor, spread: Tensor, pattern: Tensor) -> Tensor:
    """(N, M) E[z' spread z] over the posterior: the variance due to loadings, in units of the noise."""
    at_mean = torch.einsum("nq,mqr,nr->nm", z, spread, z)
    around = torch.einsum("mqr,sqr->sm", spread[:, 1:, 1:], covariance)
    return at_mean + around[pattern]
