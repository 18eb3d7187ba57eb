"""What training patients say of a generator's means and loadings, under its own prior.

Given the cluster and the factors of every training patient, a modality's cells are linear in known inputs
f(z): a 1 for the mean, then the factors, or the sines of a curve and the private factors. The generator
draws the weights w of a cell from N(0, B^2), with B the diagonal matrix of its scales, and adds noise of
variance s^2. With X (n, F) the inputs of the n training patients who have the modality, the posterior of
the cells' weights is Gaussian, and independent from cell to cell (Gelman et al. 2013, section 14.2):

    S = B (I + B X'X B / s^2)^-1 B         w | training patients  ~  N(S X'x / s^2, S)

Given the factors of another patient of the cluster, a cell then has the mean w . f(z), and the variance
v(z) = s^2 + f(z)' S f(z).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcat_core.synth.curve import weight_scale
from hcat_core.synth.curve_posterior import inputs_of
from hcat_core.synth.generator import CLUSTER_PRIOR, MixtureParameters, SyntheticCohort


@dataclass(frozen=True)
class WeightPosterior:
    """Posterior of the weights of one cluster's cells on F inputs, and the cluster's expected probability.

    Attributes:
        mean: (M, D, F); 0 in padding cells.
        covariance: (M, F, F) of every cell of a modality.
        noise_variance: s^2 of a cell.
        share: expected probability of the cluster.
    """

    mean: np.ndarray
    covariance: np.ndarray
    noise_variance: float
    share: float

    def variance(self, inputs: np.ndarray) -> np.ndarray:
        """(..., M) v(z) of a cell with these (..., M, F) inputs."""
        spread = np.einsum("...mf,mfg->...mg", inputs, self.covariance, optimize=True)
        return np.asarray(self.noise_variance + (spread * inputs).sum(axis=-1))


def weight_posteriors(cohort: SyntheticCohort, train: np.ndarray) -> tuple[WeightPosterior, ...]:
    """The posterior of each cluster's weights, given the true clusters and factors of training patients.

    Args:
        cohort: with its truth; gaps within blocks that training patients have count as measured.
        train: row numbers of the training patients.

    Raises:
        ValueError: where clusters share loadings: in clusters with outcomes from interactions.
    """
    spec, true = cohort.spec, cohort.parameters
    if spec.clusters > 1 and spec.outcome == "interactions":
        raise ValueError("with interactions, clusters share loadings: one informs the others")
    scale = _prior_scale(cohort)
    inputs = inputs_to_cells(true, cohort.factors[train, None])[:, 0]
    seen = cohort.missingness.present[train] & ~cohort.recorded.noise[train]
    found = []
    for c in range(spec.clusters):
        here = cohort.cluster[train] == c
        x = cohort.complete[train[here]]
        mean, covariance = _regress(inputs[here], x, seen[here], scale, spec.noise_variance)
        share = (CLUSTER_PRIOR + here.sum()) / (CLUSTER_PRIOR * spec.clusters + len(train))
        found.append(WeightPosterior(mean, covariance, spec.noise_variance, float(share)))
    return tuple(found)


def inputs_to_cells(parameters: MixtureParameters, factors: np.ndarray) -> np.ndarray:
    """(N, S, M, F) what cells are linear in, for (N, S, R) factors; the first is 1."""
    n, s, r = factors.shape
    m = len(parameters.noise)
    if parameters.curve is None:
        inputs = np.broadcast_to(factors[:, :, None], (n, s, m, r))
    else:
        inputs = inputs_of(parameters, factors)
    return np.concatenate([np.ones((n, s, m, 1)), inputs], axis=3)


def _prior_scale(cohort: SyntheticCohort) -> np.ndarray:
    """(M, F) standard deviations that the generator draws weights with, the mean's first."""
    spec, true = cohort.spec, cohort.parameters
    scale = true.loading_scale
    if true.curve is not None:
        sines = weight_scale(true.curve.phase, spec.frequency, spec.shared_variance)
        private = scale[:, spec.shared :].reshape(len(scale), len(scale), spec.private)
        own = np.arange(len(scale))
        scale = np.concatenate([sines, private[own, own]], axis=1)
    return np.column_stack([np.full(len(scale), spec.separation), scale])


def _regress(
    inputs: np.ndarray, cells: np.ndarray, seen: np.ndarray, scale: np.ndarray, noise_variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (M, D, F) and covariance (M, F, F) of the weights of (n, M, D) cells on (n, M, F) inputs."""
    x = inputs * seen[:, :, None]
    gram = np.einsum("nmf,nmg->mfg", x, x, optimize=True) / noise_variance
    product = np.einsum("nmd,nmf->mdf", cells.astype(np.float64), x, optimize=True) / noise_variance
    inner = np.eye(x.shape[2]) + scale[:, :, None] * gram * scale[:, None, :]
    covariance = scale[:, :, None] * np.linalg.inv(inner) * scale[:, None, :]
    return product @ covariance, covariance
