"""The best imputation that N training patients allow, for whom the form of the generator is known.

No imputer is better on average over the cohorts that a spec draws: this is the mean of every missing cell
under the generator's own prior on means and loadings, given all that training patients could possibly say
of these - their true clusters and factors as well, which an imputer has to estimate
(``synth.weight_posterior``). The mean given more information has the lower squared error on average.

For a patient outside training, the weights of cells are integrated over, which leaves, given the factors z,
independent cells with means w . f(z) and variances v(z). The posterior

    log p(z | x) = -|z|^2 / 2 - 1/2 sum over measured cells of [log v(z) + (x - w . f(z))^2 / v(z)] + c

is sampled: draws from an approximation, weighted by posterior / approximation (importance sampling;
Robert & Casella 2004, chapter 3). The approximation is a t distribution around a Gaussian with constant v;
where cells are a curve, it is the posterior for the mean weights (``synth.curve_posterior``).
Under MNAR the pattern of the patient is evidence too; those of training patients are not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln

from hcat_core.synth.curve_posterior import draw_posterior, with_weights
from hcat_core.synth.generator import MixtureParameters, SyntheticCohort
from hcat_core.synth.missingness import Missingness
from hcat_core.synth.oracle import OracleImputation
from hcat_core.synth.weight_posterior import WeightPosterior, inputs_to_cells, weight_posteriors

BATCH = 128  # patients at once
DRAWS = 256  # for each patient and cluster, in pairs that mirror each other
STEPS = 6  # of the fixed point of v
FREEDOM = 8  # degrees of freedom of the t distribution
WIDEN = 1.1  # its scale over that of the Gaussian
TRIED = 256  # draws of the prior, for the average v of a curve


@dataclass(frozen=True)
class _Patients:
    """N patients: (N, M, D) cells and which are measured, and the pattern where it is evidence."""

    cells: np.ndarray
    measured: np.ndarray
    pattern: Missingness | None


@dataclass(frozen=True)
class _Evidence:
    """Sufficient statistics of the measured cells of N patients, by modality, for one cluster's weights.

    ``gram`` (N, M, F, F) and ``linear`` (N, M, F) are sums of w w' and x w over measured cells; ``square``
    and ``count`` (N, M) are sums of x^2 and of 1.
    """

    gram: np.ndarray
    linear: np.ndarray
    square: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, posterior: WeightPosterior, patients: _Patients) -> _Evidence:
        m, d, f = posterior.mean.shape
        seen = patients.measured.astype(np.float64)
        x = np.where(patients.measured, patients.cells, 0).astype(np.float64)
        outer = (posterior.mean[..., :, None] * posterior.mean[..., None, :]).reshape(m, d, f * f)
        gram = np.einsum("nmd,mdo->nmo", seen, outer, optimize=True).reshape(-1, m, f, f)
        linear = np.einsum("nmd,mdf->nmf", x, posterior.mean, optimize=True)
        return cls(gram, linear, (x**2).sum(axis=2), seen.sum(axis=2))

    def log_likelihood(self, inputs: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """(N, S) of (N, S, M, F) inputs, with (N, S, M) variances of a cell."""
        bent = np.einsum("nmfg,nsmg->nsmf", self.gram, inputs, optimize=True) - 2 * self.linear[:, None]
        residual = self.square[:, None] + (bent * inputs).sum(axis=3)
        terms = self.count[:, None] * np.log(variance) + residual / variance
        return np.asarray(-terms.sum(axis=2) / 2)


@dataclass(frozen=True)
class _Draws:
    """S draws of the (N, S, R) factors, and the (N, S) log of their prior over the density drawn from."""

    factors: np.ndarray
    log_weight: np.ndarray


def finite_sample_limit(
    cohort: SyntheticCohort, train: np.ndarray, rows: np.ndarray, *, draws: int = DRAWS, seed: int = 0
) -> OracleImputation:
    """Impute as well as the training patients allow: E[x | measured cells, training patients].

    Args:
        cohort: with its truth.
        train: row numbers of the training patients.
        rows: row numbers of the patients to impute.
        draws: importance samples per patient and cluster, an even number.
        seed: of these draws.

    Returns:
        Mean and variance of every cell of the patients at ``rows``, as if they were not measured.

    Raises:
        ValueError: where clusters share loadings; see ``weight_posteriors``.
    """
    posteriors = weight_posteriors(cohort, train)
    rng = np.random.default_rng(seed)
    parts = [
        _impute(cohort.parameters, posteriors, patients, draws, rng) for patients in _batches(cohort, rows)
    ]
    return OracleImputation(
        np.concatenate([part.mean for part in parts]), np.concatenate([part.variance for part in parts])
    )


def _batches(cohort: SyntheticCohort, rows: np.ndarray) -> Iterator[_Patients]:
    missing = cohort.missingness
    for start in range(0, len(rows), BATCH):
        here = rows[start : start + BATCH]
        pattern = replace(missing, present=missing.present[here], gaps=missing.gaps[here])
        evidence = pattern if missing.mechanism == "mnar" else None
        yield _Patients(cohort.complete[here], cohort.informative[here], evidence)


def _impute(
    true: MixtureParameters,
    posteriors: tuple[WeightPosterior, ...],
    patients: _Patients,
    draws: int,
    rng: np.random.Generator,
) -> OracleImputation:
    """Mix the imputations of the clusters by the clusters' posterior probabilities."""
    log_share, means, seconds = [], [], []
    for posterior in posteriors:
        log_evidence, mean, variance = _impute_in_cluster(true, posterior, patients, draws, rng)
        log_share.append(np.log(posterior.share) + log_evidence)
        means.append(mean)
        seconds.append(variance + mean**2)
    share = np.exp(np.array(log_share) - np.max(log_share, axis=0))
    share /= share.sum(axis=0)
    mean = np.einsum("kn,knmd->nmd", share, np.array(means))
    second = np.einsum("kn,knmd->nmd", share, np.array(seconds))
    return OracleImputation(mean, np.maximum(second - mean**2, 1e-12))


def _impute_in_cluster(
    true: MixtureParameters,
    posterior: WeightPosterior,
    patients: _Patients,
    draws: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) log of the patients' likelihood, and (N, M, D) means and variances of cells, in one cluster."""
    evidence = _Evidence.of(posterior, patients)
    if true.curve is None:
        drawn = _draw_linear(posterior, evidence, draws, rng)
    else:
        drawn = _draw_curved(true, posterior, evidence, patients, draws, rng)
    inputs = inputs_to_cells(true, drawn.factors)
    variance = posterior.variance(inputs)
    log_weight = drawn.log_weight + evidence.log_likelihood(inputs, variance)
    n, s, m, _ = inputs.shape
    noise, slope = np.zeros((n, s, m)), np.zeros(patients.cells.shape)
    if patients.pattern is not None:
        noise, slope, log_pattern = _score_pattern(posterior, patients, inputs, variance, rng)
        log_weight = log_weight + log_pattern
    top = log_weight.max(axis=1, keepdims=True)
    weight = np.exp(log_weight - top)
    log_evidence = top[:, 0] + np.log(weight.mean(axis=1))
    weight /= weight.sum(axis=1, keepdims=True)
    centre, spread = _moments(inputs, noise, weight)
    left = np.einsum("ns,nsm->nm", weight, variance)
    return log_evidence, *_cells_of(posterior.mean, centre, spread, slope, left)


def _draw_linear(
    posterior: WeightPosterior, evidence: _Evidence, draws: int, rng: np.random.Generator
) -> _Draws:
    """Draw around the Gaussian posterior for a v(z) that is replaced by its mean."""
    n, m = evidence.count.shape
    r = posterior.mean.shape[2] - 1
    mean, covariance = np.zeros((n, r)), np.broadcast_to(np.eye(r), (n, r, r))
    to_factors = evidence.linear[..., 1:] - evidence.gram[..., 1:, 0]
    for _ in range(STEPS):
        inputs = np.repeat(np.column_stack([np.ones(n), mean])[:, None], m, axis=1)
        variance = posterior.variance(inputs)
        variance += np.einsum("mfg,nfg->nm", posterior.covariance[:, 1:, 1:], covariance, optimize=True)
        precision = np.eye(r) + np.einsum("nmfg,nm->nfg", evidence.gram[..., 1:, 1:], 1 / variance)
        covariance = np.linalg.inv(precision)
        mean = np.einsum("nfg,nmg,nm->nf", covariance, to_factors, 1 / variance, optimize=True)
    root = np.linalg.cholesky(covariance) * WIDEN
    half = rng.standard_normal((n, draws // 2, r))
    half *= np.sqrt(FREEDOM / rng.chisquare(FREEDOM, (n, draws // 2, 1)))
    standard = np.concatenate([half, -half], axis=1)
    z = mean[:, None] + np.einsum("nij,nsj->nsi", root, standard, optimize=True)
    distance = (standard**2).sum(axis=2)
    log_t = -(FREEDOM + r) / 2 * np.log1p(distance / FREEDOM)
    log_t += gammaln((FREEDOM + r) / 2) - gammaln(FREEDOM / 2) - r / 2 * np.log(FREEDOM / 2)
    log_t -= np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)[:, None]
    return _Draws(z, -(z**2).sum(axis=2) / 2 - log_t)


def _draw_curved(
    true: MixtureParameters,
    posterior: WeightPosterior,
    evidence: _Evidence,
    patients: _Patients,
    draws: int,
    rng: np.random.Generator,
) -> _Draws:
    """Draw from the posterior for the weights' means, with v(z) replaced by its mean over patients."""
    anyone = inputs_to_cells(true, rng.standard_normal((1, TRIED, true.loadings.shape[3])))
    variance = posterior.variance(anyone).mean(axis=1)  # (1, M)
    noise = np.broadcast_to(np.sqrt(variance[0])[:, None], true.noise.shape)
    plain = replace(
        with_weights(true, posterior.mean[..., 1:]), means=posterior.mean[None, ..., 0], noise=noise
    )
    drawn = draw_posterior(plain, patients.cells, patients.measured, None, draws, rng)
    same = evidence.log_likelihood(inputs_to_cells(true, drawn.factors), variance[:, None])
    return _Draws(drawn.factors, np.log(drawn.weight + 1e-300) - same)


def _score_pattern(
    posterior: WeightPosterior,
    patients: _Patients,
    inputs: np.ndarray,
    variance: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What unmeasured cells' deviations add to the scores of blocks, and what the pattern says of it.

    Returns (N, S, M) draws of the sum, the (N, M, D) slope of a cell's deviation on it, and the (N, S) log
    of P(pattern | draw).
    """
    pattern = patients.pattern
    assert pattern is not None
    direction = np.where(patients.measured, 0, pattern.direction)
    known = np.where(patients.measured, patients.cells, 0)
    base = np.einsum("nmd,md->nm", known, pattern.direction) + pattern.offset
    along = np.einsum("nmd,mdf->nmf", direction, posterior.mean, optimize=True)
    length = (direction**2).sum(axis=2)
    noise = rng.standard_normal(variance.shape) * np.sqrt(length[:, None] * variance)
    score = base[:, None] + np.einsum("nmf,nsmf->nsm", along, inputs, optimize=True) + noise
    missing = pattern.missing_probability(score)
    likely = np.where(pattern.present[:, None], 1 - missing, missing)[:, :, 1:]
    return noise, direction / np.maximum(length, 1e-12)[:, :, None], np.log(likely + 1e-300).sum(axis=2)


def _moments(inputs: np.ndarray, noise: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, M, F + 1) mean and (N, M, F + 1, F + 1) covariance of inputs and noise under weights of draws."""
    both = np.concatenate([inputs, noise[..., None]], axis=3)
    centre = np.einsum("ns,nsmf->nmf", weight, both, optimize=True)
    away = both - centre[:, None]
    return centre, np.einsum("ns,nsmf,nsmg->nmfg", weight, away, away, optimize=True)


def _cells_of(
    weights: np.ndarray, centre: np.ndarray, spread: np.ndarray, slope: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N, M, D) mean and variance of cells.

    Args:
        weights: (M, D, F) posterior mean.
        centre: (N, M, F + 1) mean of the inputs, and of the noise in the block's score.
        spread: (N, M, F + 1, F + 1) their covariance.
        slope: (N, M, D) of a cell's deviation on that noise.
        left: (N, M) variance of a cell's deviation.
    """
    mean = np.einsum("nmf,mdf->nmd", centre[..., :-1], weights, optimize=True) + slope * centre[..., -1:]
    variance = np.einsum("nmfg,mdf,mdg->nmd", spread[..., :-1, :-1], weights, weights, optimize=True)
    tied = np.einsum("nmf,mdf->nmd", spread[..., -1, :-1], weights, optimize=True)
    variance += 2 * slope * tied + slope**2 * spread[..., -1:, -1]
    known = slope**2 / np.maximum((slope**2).sum(axis=2, keepdims=True), 1e-12)
    return mean, variance + left[:, :, None] * (1 - known)
