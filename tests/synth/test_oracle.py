import numpy as np
import pytest

from hcat_core.synth.generator import MixtureParameters, SynthSpec, generate
from hcat_core.synth.oracle import (
    expected_event_probability,
    factor_posterior,
    oracle_imputation,
)

WIDTHS = {"clinical": 3, "semantic": 4, "temporal": 5}


def small(**arguments):
    defaults = {"widths": WIDTHS, "patients": 40, "shared": 2, "private": 1, "gap_rate": 0.1}
    return generate(SynthSpec(**{**defaults, **arguments}))


def measured(cohort):
    return cohort.missingness.present[:, :, None] & ~cohort.missingness.gaps & cohort.cells


def dense(parameters: MixtureParameters, x, seen):
    """Mean and variance of one patient by conditioning the joint Gaussian of each cluster, D x D."""
    total, means, seconds = [], [], []
    for c in range(len(parameters.weights)):
        w = parameters.loadings[c].reshape(-1, parameters.loadings.shape[-1])
        mu = parameters.means[c].reshape(-1)
        sigma = w @ w.T + np.diag(parameters.noise.reshape(-1) ** 2)
        o = seen.reshape(-1)
        inverse = np.linalg.inv(sigma[np.ix_(o, o)])
        delta = x.reshape(-1)[o] - mu[o]
        mean = mu + sigma[:, o] @ inverse @ delta
        # A fresh draw of every cell: its own noise counts, also where it was measured.
        covariance = w @ w.T - sigma[:, o] @ inverse @ sigma[o, :]
        z_mean = np.linalg.lstsq(np.eye(len(w[0])), w[o].T @ inverse @ delta, rcond=None)[0]
        z_cov = np.eye(len(w[0])) - w[o].T @ inverse @ w[o]
        mean = mu + w @ z_mean
        variance = np.einsum("ij,jk,ik->i", w, z_cov, w) + parameters.noise.reshape(-1) ** 2
        del covariance
        log_p = -0.5 * (np.linalg.slogdet(sigma[np.ix_(o, o)])[1] + delta @ inverse @ delta)
        total.append(np.log(parameters.weights[c]) + log_p)
        means.append(mean)
        seconds.append(variance + mean**2)
    share = np.exp(np.array(total) - max(total))
    share /= share.sum()
    mean = share @ np.array(means)
    return mean, share @ np.array(seconds) - mean**2


@pytest.mark.parametrize("clusters", [1, 3])
def test_the_closed_form_equals_conditioning_with_the_full_covariance(clusters):
    cohort = small(clusters=clusters)
    seen = measured(cohort)
    found = oracle_imputation(cohort.parameters, cohort.complete, seen)
    for row in range(len(cohort.ids)):
        mean, variance = dense(cohort.parameters, cohort.complete[row].astype(float), seen[row])
        np.testing.assert_allclose(found.mean[row].reshape(-1), mean, atol=1e-6)
        np.testing.assert_allclose(found.variance[row].reshape(-1), variance, atol=1e-6)


def hidden(cohort):
    return ~cohort.missingness.present[:, :, None] & cohort.cells


def r2(cohort, imputed, where):
    x = cohort.complete[where]
    mean = np.broadcast_to(
        np.nanmean(np.where(measured(cohort), cohort.complete, np.nan), axis=0), where.shape
    )[where]
    return 1 - ((x - imputed[where]) ** 2).mean() / ((x - mean) ** 2).mean()


WIDE = {"widths": dict.fromkeys("abcde", 40), "patients": 1500, "shared": 4, "private": 2}


@pytest.mark.parametrize("clusters", [1, 4])
def test_the_oracle_beats_the_mean_and_its_intervals_have_their_coverage(clusters):
    cohort = small(**WIDE, clusters=clusters)
    found = oracle_imputation(cohort.parameters, cohort.complete, measured(cohort))
    where = hidden(cohort)
    assert r2(cohort, found.mean, where) > 0.4
    z = np.abs(cohort.complete - found.mean)[where] / np.sqrt(found.variance[where])
    assert abs((z < 1.645).mean() - 0.9) < 0.01
    assert abs((z < 0.6745).mean() - 0.5) < 0.02


def test_under_mnar_the_pattern_is_evidence():
    # Private factors decide: nothing but the pattern speaks of them.
    cohort = small(
        **{**WIDE, "shared": 1, "private": 1},
        clusters=1,
        separation=0.0,
        shared_variance=0.1,
        private_variance=0.6,
        mechanism="mnar",
        missing_strength=4.0,
        missing_rate=0.5,
    )
    where = hidden(cohort)
    blind = oracle_imputation(cohort.parameters, cohort.complete, measured(cohort))
    aware = oracle_imputation(cohort.parameters, cohort.complete, measured(cohort), cohort.missingness)
    assert r2(cohort, aware.mean, where) > r2(cohort, blind.mean, where) + 0.01
    # Blocks are missing because their score is high: whoever forgets that is biased along the score.
    for imputed, biased in ((blind.mean, True), (aware.mean, False)):
        error = np.einsum("nmd,md->nm", (cohort.complete - imputed) * where, cohort.missingness.direction)
        bias = error[:, 1:][~cohort.missingness.present[:, 1:]].mean()
        assert (bias > 0.3) if biased else (abs(bias) < 0.06), bias
    z = np.abs(cohort.complete - aware.mean)[where] / np.sqrt(aware.variance[where])
    assert abs((z < 1.645).mean() - 0.9) < 0.02


def test_the_expected_event_probability_ranks_better_than_chance_and_no_better_than_the_truth():
    from sklearn.metrics import roc_auc_score

    cohort = small(**WIDE, clusters=2)
    posterior = factor_posterior(cohort.parameters, cohort.complete, measured(cohort))
    expected = expected_event_probability(cohort.risk_model, posterior)
    labels = cohort.outcomes.labels[:, 0]
    known = labels >= 0
    best = roc_auc_score(labels[known], cohort.outcomes.probability[known, 0])
    seen = roc_auc_score(labels[known], expected[known, 0])
    assert 0.7 < seen <= best + 0.02


def test_under_mnar_the_oracle_equals_numerical_integration():
    # Two modalities of one cell: E[x2 | x1, that x2 is missing] is an integral over a line.
    cohort = small(
        widths={"a": 1, "b": 1},
        patients=60,
        clusters=1,
        shared=1,
        private=0,
        visible=1.0,
        gap_rate=0.0,
        mechanism="mnar",
        missing_strength=4.0,
        missing_rate=0.5,
    )
    p, missing = cohort.parameters, cohort.missingness
    found = oracle_imputation(p, cohort.complete, measured(cohort), missing, draws=40_000)
    w, mu, noise = p.loadings[0, :, 0, 0], p.means[0, :, 0], p.noise[:, 0] ** 2
    rows = np.flatnonzero(~missing.present[:, 1])
    assert len(rows) > 15
    for row in rows:
        slope = w[0] * w[1] / (w[0] ** 2 + noise[0])
        mean = mu[1] + slope * (cohort.complete[row, 0, 0] - mu[0])
        variance = w[1] ** 2 + noise[1] - slope * w[0] * w[1]
        x = mean + np.linspace(-8, 8, 4001) * np.sqrt(variance)
        score = np.stack([np.zeros_like(x), missing.direction[1, 0] * x + missing.offset[1]], axis=1)
        density = np.exp(-((x - mean) ** 2) / (2 * variance)) * missing.missing_probability(score)[:, 1]
        density /= density.sum()
        exact = (density * x).sum()
        assert abs(found.mean[row, 1, 0] - exact) < 0.02
        assert abs(found.variance[row, 1, 0] - (density * (x - exact) ** 2).sum()) < 0.02
