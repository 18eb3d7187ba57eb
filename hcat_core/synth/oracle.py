"""The best possible imputation of a synthetic cohort, in closed form: E[x | measured cells].

Given a cluster, factors and cells are jointly Gaussian; with W the loadings of measured cells and P
their noise variances (by Woodbury's identity, without matrices of size D x D),

    precision  A = I + W' P^-1 W            factors | x  ~  N(A^-1 W' P^-1 (x - mean), A^-1)
    log p(x)     = -1/2 (log|P| + log|A| + (x - mean)' P^-1 (x - mean) - b' A^-1 b) + constant

and the results of the clusters are mixed by their posterior. Under MNAR the missingness pattern is
evidence, too: see ``condition_on_pattern``. Where cells are a curve of the factors, there is no closed
form, and the posterior is sampled: see ``synth.curve_posterior``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcat_core.synth.curve_posterior import cells_of_draws, draw_posterior
from hcat_core.synth.generator import MixtureParameters
from hcat_core.synth.missingness import Missingness
from hcat_core.synth.outcomes import RiskModel, event_probability

BATCH = 512  # patients at once


@dataclass(frozen=True)
class ScoreNoise:
    """The noise in unmeasured cells, given the missingness pattern (MNAR).

    The pattern depends on the noise through e[m], the noise of a block's score.

    Attributes:
        slope: (N, M, D) derivative of E[noise of a cell] with respect to e.
        mean: (N, K, M) of e given the pattern; without it, the mean is 0.
        variance: (N, K, M) of e given the pattern.
        prior: (N, K, M) variance of e without it.
        cross: (N, K, M, R) covariance of e with the factors, given the pattern.
    """

    slope: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    prior: np.ndarray
    cross: np.ndarray


@dataclass(frozen=True)
class FactorPosterior:
    """Posterior of clusters and factors for N patients.

    Attributes:
        responsibility: (N, K) probability of each cluster.
        mean: (N, K, R) of the factors, given the cluster.
        covariance: (N, K, R, R) of the factors, given the cluster.
        noise: of unmeasured cells, where the missingness pattern is evidence about it.
    """

    responsibility: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    noise: ScoreNoise | None = None


@dataclass(frozen=True)
class OracleImputation:
    """Conditional ``mean`` and ``variance`` of every cell, noise included; (N, M, D) each."""

    mean: np.ndarray
    variance: np.ndarray


def factor_posterior(
    parameters: MixtureParameters, cells: np.ndarray, measured: np.ndarray
) -> FactorPosterior:
    """Condition the mixture on the (N, M, D) ``cells`` that are ``measured``."""
    k, m, d, r = parameters.loadings.shape
    n = len(cells)
    x = np.where(measured, cells, 0).reshape(n, m * d).astype(np.float64)
    seen = measured.reshape(n, m * d).astype(np.float64)
    precision = 1 / parameters.noise.reshape(m * d) ** 2
    log_p = np.empty((n, k))
    mean = np.empty((n, k, r))
    covariance = np.empty((n, k, r, r))
    for c in range(k):
        w = parameters.loadings[c].reshape(m * d, r).astype(np.float64)
        outer = (w[:, :, None] * w[:, None, :] * precision[:, None, None]).reshape(m * d, r * r)
        deviation = (x - parameters.means[c].reshape(m * d)) * seen
        a = np.eye(r) + (seen @ outer).reshape(n, r, r)
        b = (deviation * precision) @ w
        covariance[:, c] = np.linalg.inv(a)
        mean[:, c] = np.einsum("nij,nj->ni", covariance[:, c], b)
        square = (deviation**2) @ precision - (b * mean[:, c]).sum(axis=1)
        log_p[:, c] = np.log(parameters.weights[c]) - 0.5 * (np.linalg.slogdet(a)[1] + square)
    log_p -= log_p.max(axis=1, keepdims=True)
    responsibility = np.exp(log_p)
    return FactorPosterior(responsibility / responsibility.sum(axis=1, keepdims=True), mean, covariance)


def oracle_imputation(
    parameters: MixtureParameters,
    cells: np.ndarray,
    measured: np.ndarray,
    missingness: Missingness | None = None,
    *,
    draws: int = 256,
    seed: int = 0,
) -> OracleImputation:
    """Conditional mean and variance of every cell of (N, M, D) ``cells`` given those ``measured``.

    Args:
        parameters: of the generator.
        cells: (N, M, D); values that are not ``measured`` are ignored.
        measured: (N, M, D) bool.
        missingness: under MNAR, condition on the pattern, too; None: on the values alone.
        draws: importance samples per patient and cluster, under MNAR or where cells are nonlinear.
        seed: of these draws.
    """
    means, variances = [], []
    rng = np.random.default_rng(seed)
    for start in range(0, len(cells), BATCH):
        rows = slice(start, start + BATCH)
        pattern = None if missingness is None else missingness.of_patients(rows)
        if parameters.curve is not None:
            drawn = draw_posterior(parameters, cells[rows], measured[rows], pattern, draws, rng)
            mean, variance = cells_of_draws(parameters, drawn)
        else:
            posterior = factor_posterior(parameters, cells[rows], measured[rows])
            if pattern is not None and pattern.mechanism == "mnar":
                posterior = condition_on_pattern(
                    parameters, posterior, cells[rows], measured[rows], pattern, draws, rng
                )
            mean, variance = _cells_of(parameters, posterior)
        means.append(mean)
        variances.append(variance)
    return OracleImputation(np.concatenate(means), np.concatenate(variances))


def condition_on_pattern(
    parameters: MixtureParameters,
    posterior: FactorPosterior,
    cells: np.ndarray,
    measured: np.ndarray,
    missingness: Missingness,
    draws: int,
    rng: np.random.Generator,
) -> FactorPosterior:
    """Condition the posterior on the missingness pattern, too (MNAR), by importance sampling.

    Factors, and the noise that unmeasured cells add to each block's score, are drawn from the posterior
    given the values. The weight of a draw is P(pattern | draw): the product of P(missing) of the missing
    blocks and P(present) of the present ones. The differences between weighted and unweighted moments of
    the draws are added to the posterior's moments, so that sampling error cancels where the pattern is no
    evidence.
    """
    n, k, r = posterior.mean.shape
    m, d = parameters.noise.shape
    direction = missingness.direction
    known = np.where(measured, cells, 0).astype(np.float64)
    measured_score = np.einsum("nmd,md->nm", known, direction)
    open_direction = np.where(measured, 0, direction)  # (N, M, D): the score's unmeasured part
    noise_sd = np.sqrt(np.einsum("nmd,md->nm", open_direction**2, parameters.noise**2))
    responsibility = np.empty((n, k))
    mean = np.empty_like(posterior.mean)
    covariance = np.empty_like(posterior.covariance)
    noise_mean, noise_variance = np.empty((n, k, m)), np.empty((n, k, m))
    prior, cross = np.empty((n, k, m)), np.empty((n, k, m, r))
    for c in range(k):
        root = np.linalg.cholesky(posterior.covariance[:, c])
        standard = rng.standard_normal((n, draws, r))
        z = posterior.mean[:, c, None] + np.einsum("nij,nsj->nsi", root, standard)
        along = np.einsum("nmd,mdr->nmr", open_direction, parameters.loadings[c], optimize=True)
        base = measured_score + np.einsum("nmd,md->nm", open_direction, parameters.means[c])
        score = base[:, None] + np.einsum("nmr,nsr->nsm", along, z)
        noise = rng.standard_normal(score.shape) * noise_sd[:, None]
        score += noise
        missing = missingness.missing_probability(score + missingness.offset)
        likelihood = np.where(np.expand_dims(missingness.present, 1), 1 - missing, missing)
        likelihood[:, :, 0] = 1  # the first modality is never missing
        weight = likelihood.prod(axis=2) + 1e-300
        responsibility[:, c] = posterior.responsibility[:, c] * weight.mean(axis=1)
        share = weight / weight.sum(axis=1, keepdims=True)
        plain = z.mean(axis=1)
        shifted = np.einsum("ns,nsr->nr", share, z)
        mean[:, c] = posterior.mean[:, c] + shifted - plain
        centred, around = z - shifted[:, None], z - plain[:, None]
        covariance[:, c] = (
            posterior.covariance[:, c]
            + np.einsum("ns,nsi,nsj->nij", share, centred, centred, optimize=True)
            - np.einsum("nsi,nsj->nij", around, around, optimize=True) / draws
        )
        # The correction has sampling error: it may leave a matrix that is not a covariance.
        values, vectors = np.linalg.eigh(covariance[:, c])
        covariance[:, c] = np.einsum("nij,nj,nkj->nik", vectors, np.maximum(values, 1e-6), vectors)
        prior[:, c] = noise.var(axis=1)
        noise_mean[:, c] = np.einsum("ns,nsm->nm", share, noise) - noise.mean(axis=1)
        noise_centred = noise - np.einsum("ns,nsm->nm", share, noise)[:, None]
        noise_variance[:, c] = np.einsum("ns,nsm->nm", share, noise_centred**2)
        cross[:, c] = np.einsum("ns,nsm,nsr->nmr", share, noise_centred, centred, optimize=True)
        cross[:, c] -= np.einsum("nsm,nsr->nmr", noise, around, optimize=True) / draws
    responsibility /= responsibility.sum(axis=1, keepdims=True)
    slope = open_direction * parameters.noise**2 / np.maximum(noise_sd**2, 1e-12)[:, :, None]
    return FactorPosterior(
        responsibility,
        mean,
        covariance,
        ScoreNoise(slope, noise_mean, noise_variance, prior, cross),
    )


def expected_event_probability(
    model: RiskModel, posterior: FactorPosterior, *, draws: int = 128, seed: int = 0
) -> np.ndarray:
    """(N, T) E[P(event by the horizon) | measured cells], the best ranking from these cells."""
    rng = np.random.default_rng(seed)
    n, k, r = posterior.mean.shape
    total = 0.0
    for c in range(k):
        root = np.linalg.cholesky(posterior.covariance[:, c] + 1e-9 * np.eye(r))
        z = posterior.mean[:, c, None] + np.einsum("nij,nsj->nsi", root, rng.standard_normal((n, draws, r)))
        risk = model.risk(np.full(n * draws, c), z.reshape(n * draws, r))
        probability = event_probability(risk).reshape(n, draws, -1).mean(axis=1)
        total = total + posterior.responsibility[:, c, None] * probability
    return np.asarray(total)


def _cells_of(parameters: MixtureParameters, posterior: FactorPosterior) -> tuple[np.ndarray, np.ndarray]:
    """(N, M, D) mean and variance of every cell under a posterior of clusters and factors."""
    k, m, d, r = parameters.loadings.shape
    n = len(posterior.mean)
    mean = np.zeros((n, m * d))
    second = np.zeros((n, m * d))
    noise = parameters.noise.reshape(m * d) ** 2
    for c in range(k):
        w = parameters.loadings[c].reshape(m * d, r).astype(np.float64)
        outer = (w[:, :, None] * w[:, None, :]).reshape(m * d, r * r)
        here = parameters.means[c].reshape(m * d) + posterior.mean[:, c] @ w.T
        spread = posterior.covariance[:, c].reshape(n, r * r) @ outer.T + noise
        extra = posterior.noise
        if extra is not None:
            here = here + (extra.slope * extra.mean[:, c, :, None]).reshape(n, m * d)
            change = extra.slope**2 * (extra.variance - extra.prior)[:, c, :, None]
            tied = np.einsum("nmr,mdr->nmd", extra.cross[:, c], parameters.loadings[c], optimize=True)
            spread = spread + (change + 2 * extra.slope * tied).reshape(n, m * d)
        share = posterior.responsibility[:, c, None]
        mean += share * here
        second += share * (spread + here**2)
    return mean.reshape(n, m, d), np.maximum(second - mean**2, 1e-12).reshape(n, m, d)
