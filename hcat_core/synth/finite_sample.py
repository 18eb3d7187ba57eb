"""The parameters of a synthetic cohort as well as a number of training patients allows to estimate them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hcat_core.synth.curve_posterior import inputs_of, weights_of, with_weights
from hcat_core.synth.generator import MixtureParameters, SyntheticCohort


@dataclass(frozen=True)
class _Regression:
    """C cells on F known inputs: intercepts (C,), weights (C, F), sum and count of squared residuals."""

    intercept: np.ndarray
    weights: np.ndarray
    residual: float
    count: float


def finite_sample_limit(
    cohort: SyntheticCohort, train: np.ndarray, measured: np.ndarray
) -> MixtureParameters:
    """Estimate the parameters as well as the training patients allow: with their true factors known.

    An imputer, which must estimate the factors as well, cannot do better on average. Each cell is
    regressed on an intercept and the factors, within the true clusters, over training patients who have
    the cell; the ridge penalty is that of the generator's prior on loadings. Where cells are a curve of the
    factors, the sines are known, too.

    Args:
        cohort: with its truth.
        train: row numbers of the training patients.
        measured: (N, M, D) bool, of all patients.
    """
    true = cohort.parameters
    if true.curve is not None:
        return _curved(cohort, train, measured)
    k, m, d, r = true.loadings.shape
    means, loadings = np.zeros_like(true.means), np.zeros_like(true.loadings)
    weights, found = np.zeros(k), []
    ridge = _ridge(true.noise, true.loadings)
    for c in range(k):
        rows = train[cohort.cluster[train] == c]
        weights[c] = len(rows) + 1
        if not len(rows):
            continue
        x, seen = cohort.complete[rows].reshape(len(rows), -1), measured[rows].reshape(len(rows), -1)
        fit = _regress(cohort.factors[rows], x, seen, ridge)
        means[c] = fit.intercept.reshape(m, d)
        loadings[c] = fit.weights.reshape(m, d, r)
        found.append(fit)
    noise = _noise(found, k * (r + 1) * m * d)
    return MixtureParameters(weights / weights.sum(), means, loadings, np.full((m, d), noise))


def _curved(cohort: SyntheticCohort, train: np.ndarray, measured: np.ndarray) -> MixtureParameters:
    true = cohort.parameters
    inputs = inputs_of(true, cohort.factors[train, None])[:, 0]  # (N, M, F)
    (m, d), f = true.noise.shape, inputs.shape[2]
    ridge = _ridge(true.noise, weights_of(true))
    fits = [_regress(inputs[:, c], cohort.complete[train, c], measured[train, c], ridge) for c in range(m)]
    means = np.stack([fit.intercept for fit in fits])[None]
    noise = np.full((m, d), _noise(fits, (f + 1) * m * d))
    return replace(with_weights(true, np.stack([fit.weights for fit in fits])), means=means, noise=noise)


def _ridge(noise: np.ndarray, weights: np.ndarray) -> float:
    return float(np.mean(noise**2) / max(1e-9, np.mean(weights**2)))


def _regress(inputs: np.ndarray, cells: np.ndarray, seen: np.ndarray, ridge: float) -> _Regression:
    """Ridge regression of each of (N, C) ``cells`` on (N, F) ``inputs``, over the patients who have it."""
    n, f = inputs.shape
    design = np.column_stack([np.ones(n), inputs])
    weight = seen.astype(np.float64)
    x = cells.astype(np.float64) * weight
    outer = (design[:, :, None] * design[:, None, :]).reshape(n, -1)
    gram = (weight.T @ outer).reshape(-1, f + 1, f + 1) + np.diag(np.r_[1e-6, np.full(f, ridge)])
    solved = np.linalg.solve(gram, (x.T @ design)[:, :, None])[:, :, 0]
    residual = (weight * (x - design @ solved.T) ** 2).sum()
    return _Regression(solved[:, 0], solved[:, 1:], float(residual), float(weight.sum()))


def _noise(fits: list[_Regression], estimated: int) -> float:
    """Standard deviation of the residuals, for this number of ``estimated`` parameters."""
    freedom = max(1.0, sum(fit.count for fit in fits) - estimated)
    return max(float(np.sqrt(sum(fit.residual for fit in fits) / freedom)), 1e-3)
