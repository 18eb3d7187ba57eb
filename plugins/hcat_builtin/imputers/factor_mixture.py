"""A mixture of low-rank factor analysers on incomplete rows: posterior, moments and draws per pattern.

Row i has cluster c with probability ``weight[c]``, factors z ~ N(0, I_R), and cells
x_p = loading[c, p] . (1, z) + e_p with e_p ~ N(0, noise[p]); the first loading is the mean. Loadings are
known up to ``loading[c, p] ~ N(., noise[p] * spread[c, m(p)])``, which the predictive variance contains.

Everything that is R x R depends on the pattern of measured cells alone and is made once a pattern
(S of them). P cells, N rows, K clusters, Q = R + 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hcat_core.interfaces import categories, normal


@dataclass(frozen=True)
class FactorMixture:
    """``weight`` (K,), ``loading`` (K, P, Q), ``noise`` (P,) variances, ``spread`` (K, M, Q, Q).

    ``block`` (P,) says to which of M blocks a cell belongs.
    """

    weight: Tensor
    loading: Tensor
    noise: Tensor
    spread: Tensor
    block: Tensor


@dataclass(frozen=True)
class Rows:
    """N incomplete rows: ``cells`` (N, P), 0 where not measured; ``masks`` (S, P) float, the distinct
    patterns of measured cells; ``pattern`` (N,) which of them each row has."""

    cells: Tensor
    masks: Tensor
    pattern: Tensor


@dataclass(frozen=True)
class Posterior:
    """Of N rows: ``share`` (N, K) of each cluster, factor ``mean`` (N, K, R), ``covariance``
    (S, K, R, R) by pattern, and the rows' ``log_likelihood`` (N,)."""

    share: Tensor
    mean: Tensor
    covariance: Tensor
    pattern: Tensor
    log_likelihood: Tensor


def make_rows(cells: Tensor, measured: Tensor) -> Rows:
    """Find the distinct patterns of (N, P) ``measured``."""
    n, p = measured.shape
    # Eight cells a byte: comparing rows is then a sixteenth of the work of comparing floats.
    padded = torch.nn.functional.pad(measured.to(torch.uint8), (0, -p % 8)).reshape(n, -1, 8)
    powers = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8, device=measured.device)
    packed = (padded * powers).sum(dim=2, dtype=torch.int64)
    _, pattern = torch.unique(packed, dim=0, return_inverse=True)
    first = torch.full((int(pattern.max()) + 1 if n else 0,), n, device=measured.device)
    first.scatter_reduce_(0, pattern, torch.arange(n, device=measured.device), "amin")
    return Rows(torch.where(measured, cells, 0), measured[first].to(cells.dtype), pattern)


def posterior(model: FactorMixture, rows: Rows) -> Posterior:
    """E-step: clusters and factors given the measured cells of each row."""
    k, p, q = model.loading.shape
    r = q - 1
    scaled = model.loading / model.noise[:, None]
    # (N, K, Q): one product over all cells and clusters; the only one that grows with N x P.
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


def moments(model: FactorMixture, found: Posterior) -> tuple[Tensor, Tensor]:
    """(N, P) mean and variance of every cell were it drawn anew, noise and loadings' spread included."""
    k, p, q = model.loading.shape
    dtype = model.loading.dtype
    n = len(found.mean)
    mean = torch.zeros((n, p), dtype=dtype, device=model.loading.device)
    second = torch.zeros_like(mean)
    for c in range(k):
        loading = model.loading[c]
        z = torch.nn.functional.pad(found.mean[:, c].to(dtype), (1, 0), value=1.0)
        here = z @ loading.T
        covariance = found.covariance[:, c].to(dtype)
        outer = (loading[:, 1:, None] * loading[:, None, 1:]).reshape(p, -1)
        by_pattern = covariance.reshape(len(covariance), -1) @ outer.T
        doubt = _quadratic(z, covariance, model.spread[c].to(dtype), found.pattern)
        variance = by_pattern[found.pattern] + model.noise * (1 + doubt[:, model.block])
        share = found.share[:, c, None].to(dtype)
        mean += share * here
        second += share * (variance + here.square())
    return mean, (second - mean.square()).clamp_min_(1e-8)


def draw(model: FactorMixture, found: Posterior, n: int, generator: torch.Generator) -> Tensor:
    """(n, N, P) cells drawn together: a cluster, its factors, and the noise, for each row."""
    k, p, q = model.loading.shape
    rows, dtype, device = len(found.mean), model.loading.dtype, model.loading.device
    root = torch.linalg.cholesky(found.covariance)
    result = torch.empty((n, rows, p), dtype=dtype, device=device)
    for number in range(n):
        cluster = categories(found.share, generator)
        own = torch.arange(rows, device=device)
        white = normal((rows, q - 1, 1), generator, rows=0, device=device, dtype=torch.float64)
        z = found.mean[own, cluster] + (root[found.pattern, cluster] @ white).squeeze(-1)
        extended = torch.nn.functional.pad(z.to(dtype), (1, 0), value=1.0)
        noise = normal((rows, p), generator, rows=0, device=device, dtype=dtype)
        for c in range(k):
            mine = cluster == c
            # One draw of the doubt about loadings: across cells it is independent given z.
            doubt = torch.einsum("nq,mqr,nr->nm", extended[mine], model.spread[c].to(dtype), extended[mine])
            scale = (model.noise * (1 + doubt[:, model.block])).sqrt()
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
    """(N, M): E[z' spread z] over the posterior, the loadings' doubt in units of the noise."""
    at_mean = torch.einsum("nq,mqr,nr->nm", z, spread, z)
    around = torch.einsum("mqr,sqr->sm", spread[:, 1:, 1:], covariance)
    return at_mean + around[pattern]
