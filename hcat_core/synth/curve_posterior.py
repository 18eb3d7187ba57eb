"""The posterior of a nonlinear synthetic cohort's factors given measured cells, by importance sampling.

With f(z) the sines of the shared factors z, B their weights, u the private factors, L their loadings and P
the noise variances of a patient's measured cells, x = mean + B f(z) + L u + noise. Integrating over
u ~ N(0, I), which is exact, leaves

    log p(x | z) = h' f(z) - 1/2 f(z)' G f(z) + constant,
    G = B' P^-1 B - B' P^-1 L (I + L' P^-1 L)^-1 L' P^-1 B,      h likewise,

one term a modality, as private factors act on one modality alone. The posterior of z may have several
modes: draws of the prior, resampled by their likelihood, are led to modes by damped Gauss-Newton steps. New
draws from a mixture of the prior and t distributions around the modes are weighted by posterior / mixture
(importance sampling; Robert & Casella 2004, chapter 3). Given z, u is drawn from its Gaussian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hcat_core.synth.curve import Curve
from hcat_core.synth.generator import MixtureParameters
from hcat_core.synth.missingness import Missingness
from hcat_core.synth.outcomes import RiskModel, event_probability

STARTS = 24
TRIED = 256  # draws of the prior for each start
FROM_PRIOR, EVENLY = 0.25, 0.3  # shares of the mixture: the prior; all modes alike, not by their mass
STEPS = 40  # of Gauss-Newton
FLATTER = np.repeat((1.0, 5.0), STARTS // 2)  # temperature of the likelihood that each start is drawn from
FREEDOM = 5  # degrees of freedom of the t distributions
WIDEN = 1.2  # their scale over that of Laplace's approximation


@dataclass(frozen=True)
class WeightedDraws:
    """S weighted draws of the factors of N patients, and of the noise in the scores of their blocks.

    Attributes:
        factors: (N, S, R), the shared ones first.
        weight: (N, S), sums to 1 for each patient.
        noise: (N, S, M) summed noise of unmeasured cells along the score's direction; None unless MNAR.
        slope: (N, M, D) derivative of E[noise of a cell] with respect to it; None unless MNAR.
    """

    factors: np.ndarray
    weight: np.ndarray
    noise: np.ndarray | None = None
    slope: np.ndarray | None = None

    @property
    def effective_draws(self) -> np.ndarray:
        """(N,) how many equally weighted draws would have the same error (Kish)."""
        return np.asarray(1 / (self.weight**2).sum(axis=1))


@dataclass(frozen=True)
class _Evidence:
    """Sufficient statistics of measured cells: H sines and p private factors of each modality.

    ``gram`` (N, M, H, H) and ``linear`` (N, M, H) are G and h of the module; ``to_private`` (N, M, p, H)
    and ``private`` (N, M, p) give the mean of u as private - to_private f(z), with ``covariance``
    (N, M, p, p).
    """

    gram: np.ndarray
    linear: np.ndarray
    to_private: np.ndarray
    private: np.ndarray
    covariance: np.ndarray

    def log_likelihood(self, sines: np.ndarray) -> np.ndarray:
        """(N, S) of (N, S, M, H) sines, up to a constant for each patient."""
        half = np.einsum("nmhk,nsmk->nsmh", self.gram, sines, optimize=True) / 2
        return np.asarray(((self.linear[:, None] - half) * sines).sum(axis=(2, 3)))


def draw_posterior(
    parameters: MixtureParameters,
    cells: np.ndarray,
    measured: np.ndarray,
    missingness: Missingness | None,
    draws: int,
    rng: np.random.Generator,
) -> WeightedDraws:
    """Draw factors given the (N, M, D) ``cells`` that are ``measured``; under MNAR, the pattern, too."""
    curve = _curve_of(parameters)
    evidence = _condense(parameters, cells, measured)
    modes, precision, log_posterior = _find_modes(curve, evidence, rng)
    shared, log_weight = _sample_around(curve, evidence, modes, precision, log_posterior, draws, rng)
    private = _draw_private(curve, evidence, shared, rng)
    factors = np.concatenate([shared, private], axis=2)
    if missingness is None or missingness.mechanism != "mnar":
        return WeightedDraws(factors, _normalised(log_weight))
    noise, slope, log_pattern = _score_pattern(parameters, cells, measured, missingness, factors, rng)
    return WeightedDraws(factors, _normalised(log_weight + log_pattern), noise, slope)


def cells_of_draws(parameters: MixtureParameters, drawn: WeightedDraws) -> tuple[np.ndarray, np.ndarray]:
    """(N, M, D) mean and variance of every cell, noise included."""
    inputs = inputs_of(parameters, drawn.factors)  # (N, S, M, H + p)
    weights = weights_of(parameters)  # (M, D, H + p)
    centre = np.einsum("ns,nsmf->nmf", drawn.weight, inputs, optimize=True)
    centred = inputs - centre[:, None]
    spread = np.einsum("ns,nsmf,nsmg->nmfg", drawn.weight, centred, centred, optimize=True)
    mean = parameters.means[0] + np.einsum("nmf,mdf->nmd", centre, weights, optimize=True)
    variance = np.einsum("nmfg,mdf,mdg->nmd", spread, weights, weights, optimize=True) + parameters.noise**2
    if drawn.noise is not None and drawn.slope is not None:
        # Unweighted moments are known; taking weighted less unweighted ones cancels sampling error.
        plain = drawn.noise.mean(axis=1)
        shifted = np.einsum("ns,nsm->nm", drawn.weight, drawn.noise)
        away = drawn.noise - shifted[:, None]
        change = np.einsum("ns,nsm->nm", drawn.weight, away**2) - drawn.noise.var(axis=1)
        tied = np.einsum("ns,nsm,nsmf->nmf", drawn.weight, away, centred, optimize=True)
        mean = mean + drawn.slope * (shifted - plain)[:, :, None]
        variance = variance + drawn.slope**2 * change[:, :, None]
        variance = variance + 2 * drawn.slope * np.einsum("nmf,mdf->nmd", tied, weights, optimize=True)
    return mean, np.maximum(variance, 1e-12)


def event_probability_of_draws(model: RiskModel, drawn: WeightedDraws) -> np.ndarray:
    """(N, T) E[P(event by the horizon) | measured cells]."""
    n, s, r = drawn.factors.shape
    risk = model.risk(np.zeros(n * s, int), drawn.factors.reshape(n * s, r))
    return np.asarray(np.einsum("ns,nst->nt", drawn.weight, event_probability(risk).reshape(n, s, -1)))


def weights_of(parameters: MixtureParameters) -> np.ndarray:
    """(M, D, H + p) of sines and private factors."""
    return np.concatenate([_curve_of(parameters).weights, _private(parameters)], axis=2)


def with_weights(parameters: MixtureParameters, weights: np.ndarray) -> MixtureParameters:
    """The same with other (M, D, H + p) weights of sines and private factors."""
    curve = _curve_of(parameters)
    (m, h, shared), p = curve.direction.shape, weights.shape[2] - curve.direction.shape[1]
    loadings = np.zeros_like(parameters.loadings)
    for c in range(m):
        loadings[0, c, :, shared + c * p : shared + (c + 1) * p] = weights[c, :, h:]
    return replace(parameters, loadings=loadings, curve=replace(curve, weights=weights[..., :h]))


def inputs_of(parameters: MixtureParameters, factors: np.ndarray) -> np.ndarray:
    """(N, S, M, H + p) sines and private factors of (N, S, R) factors."""
    curve = _curve_of(parameters)
    sines = np.sin(curve.angles(factors))
    private = factors[..., curve.direction.shape[2] :].reshape(*sines.shape[:3], -1)
    return np.concatenate([sines, private], axis=3)


def _curve_of(parameters: MixtureParameters) -> Curve:
    if parameters.curve is None or len(parameters.weights) > 1:
        raise ValueError("a curve in one cluster is needed")
    return parameters.curve


def _private(parameters: MixtureParameters) -> np.ndarray:
    """(M, D, p) loadings of each modality's private factors."""
    loadings = parameters.loadings[0]
    m, _, r = loadings.shape
    shared = _curve_of(parameters).direction.shape[2]
    p = (r - shared) // m
    return np.stack([loadings[c, :, shared + c * p : shared + (c + 1) * p] for c in range(m)])


def _condense(parameters: MixtureParameters, cells: np.ndarray, measured: np.ndarray) -> _Evidence:
    weights = weights_of(parameters)
    h = _curve_of(parameters).weights.shape[2]
    precision = measured / parameters.noise**2
    deviation = np.where(measured, cells - parameters.means[0], 0.0) / parameters.noise**2
    f = weights.shape[2]
    outer = (weights[..., :, None] * weights[..., None, :]).reshape(*weights.shape[:2], f * f)
    gram = np.einsum("nmd,mdo->nmo", precision, outer, optimize=True).reshape(*measured.shape[:2], f, f)
    linear = np.einsum("nmd,mdf->nmf", deviation, weights, optimize=True)
    covariance = np.linalg.inv(np.eye(f - h) + gram[..., h:, h:])
    to_private = covariance @ gram[..., h:, :h]
    private = np.einsum("nmij,nmj->nmi", covariance, linear[..., h:])
    return _Evidence(
        gram=gram[..., :h, :h] - np.swapaxes(gram[..., h:, :h], 2, 3) @ to_private,
        linear=linear[..., :h] - np.einsum("nmpi,nmp->nmi", gram[..., h:, :h], private),
        to_private=to_private,
        private=private,
        covariance=covariance,
    )


def _find_modes(
    curve: Curve, evidence: _Evidence, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Modes (N, J, S), precisions there (N, J, S, S), and log posteriors (N, J) up to a constant."""
    n, (m, h, s) = len(evidence.gram), curve.direction.shape
    tried = rng.standard_normal((STARTS * TRIED, s))
    sines = np.sin(curve.angles(tried))
    squares = (sines[..., :, None] * sines[..., None, :]).reshape(len(tried), m * h * h)
    log_p = evidence.linear.reshape(n, m * h) @ sines.reshape(len(tried), m * h).T
    log_p -= evidence.gram.reshape(n, m * h * h) @ squares.T / 2
    # With Gumbel noise, the largest is drawn with a probability proportional to p, or to a flatter one.
    log_p = log_p.reshape(n, STARTS, TRIED) + rng.gumbel(size=(n, STARTS, TRIED)) * FLATTER[:, None]
    drawn = log_p.argmax(axis=2)
    z = tried.reshape(STARTS, TRIED, s)[np.arange(STARTS), drawn]
    value = _log_posterior(curve, evidence, z)
    damping = np.ones(value.shape)  # short steps at first: to the nearest mode
    for _ in range(STEPS):
        gradient, precision = _slopes(curve, evidence, z)
        scaled = precision * (1 + damping[..., None, None] * np.eye(s))
        step = z + np.linalg.solve(scaled, gradient[..., None])[..., 0]
        reached = _log_posterior(curve, evidence, step)
        better = reached > value
        if not (reached > value + 1e-6).any():
            break
        z, value = np.where(better[..., None], step, z), np.where(better, reached, value)
        damping = np.clip(np.where(better, damping / 5, damping * 4), 1e-6, 1e6)
    return z, _slopes(curve, evidence, z)[1], value


def _log_posterior(curve: Curve, evidence: _Evidence, z: np.ndarray) -> np.ndarray:
    return np.asarray(evidence.log_likelihood(np.sin(curve.angles(z))) - (z**2).sum(axis=2) / 2)


def _slopes(curve: Curve, evidence: _Evidence, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (N, J, S) of the log posterior, and its Gauss-Newton precision (N, J, S, S)."""
    angles = curve.angles(z)
    jacobian = np.cos(angles)[..., None] * curve.direction  # (N, J, M, H, S)
    residual = evidence.linear[:, None] - np.einsum(
        "nmhk,njmk->njmh", evidence.gram, np.sin(angles), optimize=True
    )
    gradient = np.einsum("njmh,njmhs->njs", residual, jacobian, optimize=True) - z
    bent = np.einsum("nmhk,njmks->njmhs", evidence.gram, jacobian, optimize=True)
    n, j, m, h, s = jacobian.shape
    precision = np.swapaxes(jacobian.reshape(n, j, m * h, s), 2, 3) @ bent.reshape(n, j, m * h, s)
    return gradient, precision + np.eye(s)


def _sample_around(
    curve: Curve,
    evidence: _Evidence,
    modes: np.ndarray,
    precision: np.ndarray,
    log_posterior: np.ndarray,
    draws: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Shared factors (N, draws, S) and their log weights (N, draws)."""
    n, j, s = modes.shape
    root = np.linalg.cholesky(precision) / WIDEN  # z = mode + root^-T t
    log_root = np.log(np.diagonal(root, axis1=2, axis2=3)).sum(axis=2)
    laplace = _normalised(log_posterior - log_root)  # approximates the mass of each mode
    share = (1 - FROM_PRIOR) * ((1 - EVENLY) * laplace + EVENLY / j)
    place = (rng.random((n, 1)) + np.arange(draws)) / draws
    chosen = (place[:, :, None] > np.cumsum(share, axis=1)[:, None]).sum(axis=2)
    prior = (chosen == j)[..., None]
    at = np.arange(n)[:, None], np.minimum(chosen, j - 1)
    standard = rng.standard_normal((n, draws, s))
    radius = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, (n, draws, 1)))
    around = modes[at] + np.einsum("nsji,nsj->nsi", np.linalg.inv(root)[at], standard * radius)
    z = np.where(prior, standard, around)
    log_mixture = np.empty((n, draws, j + 1))
    log_mixture[:, :, j] = np.log(FROM_PRIOR) - _log_constants(s) - (z**2).sum(axis=2) / 2
    for mode in range(j):
        away = np.einsum("nji,nsj->nsi", root[:, mode], z - modes[:, None, mode])
        distance = (away**2).sum(axis=2)
        log_t = log_root[:, None, mode] - (FREEDOM + s) / 2 * np.log1p(distance / FREEDOM)
        log_mixture[:, :, mode] = np.log(share[:, None, mode]) + log_t
    return z, _log_posterior(curve, evidence, z) - np.logaddexp.reduce(log_mixture, axis=2)


def _log_constants(s: int) -> float:
    """The log of the constant factor of a t density in s dimensions over that of a normal density."""
    return math.lgamma((FREEDOM + s) / 2) - math.lgamma(FREEDOM / 2) - s / 2 * math.log(FREEDOM / 2)


def _draw_private(
    curve: Curve, evidence: _Evidence, shared: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(N, draws, M * p) private factors given the shared ones."""
    sines = np.sin(curve.angles(shared))
    mean = evidence.private[:, None] - np.einsum(
        "nmph,nsmh->nsmp", evidence.to_private, sines, optimize=True
    )
    root = np.linalg.cholesky(evidence.covariance)
    drawn = mean + np.einsum("nmpq,nsmq->nsmp", root, rng.standard_normal(mean.shape), optimize=True)
    return np.asarray(drawn.reshape(*shared.shape[:2], -1))


def _score_pattern(
    parameters: MixtureParameters,
    cells: np.ndarray,
    measured: np.ndarray,
    missingness: Missingness,
    factors: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise of the scores (N, S, M), its slope (N, M, D), and log P(pattern | draw) (N, S)."""
    direction = np.where(measured, 0, missingness.direction)
    known = np.where(measured, cells - parameters.means[0], 0.0) + parameters.means[0]
    base = np.einsum("nmd,md->nm", known, missingness.direction) + missingness.offset
    along = np.einsum("nmd,mdf->nmf", direction, weights_of(parameters), optimize=True)
    spread = np.sqrt(np.einsum("nmd,md->nm", direction**2, parameters.noise**2))
    noise = rng.standard_normal((*factors.shape[:2], direction.shape[1])) * spread[:, None]
    score = base[:, None] + noise
    score += np.einsum("nmf,nsmf->nsm", along, inputs_of(parameters, factors), optimize=True)
    missing = missingness.missing_probability(score)
    likely = np.where(missingness.present[:, None], 1 - missing, missing)[:, :, 1:]
    slope = direction * parameters.noise**2 / np.maximum(spread**2, 1e-12)[:, :, None]
    return noise, slope, np.log(likely + 1e-300).sum(axis=2)


def _normalised(log_weight: np.ndarray) -> np.ndarray:
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
