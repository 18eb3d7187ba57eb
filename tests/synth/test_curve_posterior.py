import numpy as np
import pytest

from hcat_core.synth.curve_posterior import cells_of_draws, draw_posterior, event_probability_of_draws
from hcat_core.synth.finite_sample import finite_sample_limit
from hcat_core.synth.generator import SynthSpec, generate, preset_spec
from hcat_core.synth.oracle import oracle_imputation
from hcat_core.synth.outcomes import event_probability

GRID = np.linspace(-5, 5, 201)


def tiny(**arguments):
    """Two factors and few cells: the posterior has several modes, and a grid covers it."""
    spec = {"clusters": 1, "separation": 0.3, "shared": 2, "private": 0, "visible": 1.0, "sines": 3}
    spec |= {"widths": {"a": 3, "b": 4}, "patients": 30, "gap_rate": 0.1, "noise_variance": 0.2}
    return generate(SynthSpec(**{**spec, "missing_rate": 0.5, **arguments}))


def on_a_grid(cohort, row):
    """Mean and variance of one patient's cells, and event probabilities, by summing over a grid of factors.

    The private factors are integrated over with the full covariance of the cells.
    """
    p, cells = cohort.parameters, cohort.cells.reshape(-1)
    shared = p.curve.direction.shape[2]
    z = np.stack(np.meshgrid(GRID, GRID, indexing="ij"), axis=-1).reshape(-1, 2)
    angles = np.einsum("mhs,gs->gmh", p.curve.direction, z) + p.curve.phase
    at = (p.means[0] + np.einsum("mdh,gmh->gmd", p.curve.weights, np.sin(angles))).reshape(len(z), -1)
    loadings = p.loadings[0].reshape(len(cells), -1)[:, shared:]
    sigma = loadings @ loadings.T + np.diag(p.noise.reshape(-1) ** 2)
    o = cohort.measured[row].reshape(-1)
    away = cohort.complete[row].reshape(-1)[o] - at[:, o]
    gain = sigma[:, o] @ np.linalg.inv(sigma[np.ix_(o, o)])
    log_p = -0.5 * (
        (z**2).sum(axis=1) + np.einsum("gi,ij,gj->g", away, np.linalg.inv(sigma[np.ix_(o, o)]), away)
    )
    share = np.exp(log_p - log_p.max())
    share /= share.sum()
    means = at + away @ gain.T
    variance = np.diag(sigma - gain @ sigma[o])
    mean = share @ means
    private = np.zeros((len(z), p.loadings.shape[3] - shared))
    risk = cohort.risk_model.risk(np.zeros(len(z), int), np.c_[z, private])
    return mean, share @ (means - mean) ** 2 + variance, share @ event_probability(risk)


@pytest.mark.parametrize("private", [0, 1])
def test_the_sampled_posterior_equals_summation_over_a_grid(private):
    cohort = tiny(private=private, private_variance=0.3)
    rng = np.random.default_rng(0)
    drawn = draw_posterior(cohort.parameters, cohort.complete, cohort.measured, None, 20_000, rng)
    found_mean, found_variance = cells_of_draws(cohort.parameters, drawn)
    hidden = ~cohort.measured & cohort.cells
    assert hidden.sum() > 50
    assert drawn.effective_draws.min() > 1000
    for row, draws in enumerate(drawn.effective_draws):
        mean, variance, _ = on_a_grid(cohort, row)
        where = hidden[row].reshape(-1)
        mean, variance = mean[where], variance[where]
        off = np.abs(found_mean[row].reshape(-1)[where] - mean)
        assert (off < 4 * np.sqrt(variance / draws)).all()
        off = np.abs(found_variance[row].reshape(-1)[where] - variance)
        assert (off < 4 * variance * np.sqrt(2 / draws)).all()


def test_the_expected_event_probability_equals_summation_over_a_grid():
    cohort = tiny()
    rng = np.random.default_rng(0)
    drawn = draw_posterior(cohort.parameters, cohort.complete, cohort.measured, None, 20_000, rng)
    found = event_probability_of_draws(cohort.risk_model, drawn)
    exact = [on_a_grid(cohort, row)[2] for row in range(len(cohort.ids))]
    np.testing.assert_allclose(found, exact, atol=0.015)


def test_under_mnar_the_sampled_posterior_equals_summation_over_a_grid():
    # Two modalities of one cell: E[x2 | x1, that x2 is missing] is a sum over factors and the cell itself.
    cohort = tiny(
        widths={"a": 1, "b": 1},
        shared=1,
        patients=40,
        gap_rate=0.0,
        mechanism="mnar",
        missing_strength=4.0,
    )
    p, missing = cohort.parameters, cohort.missingness
    found = oracle_imputation(p, cohort.complete, cohort.measured, missing, draws=40_000)
    rows = np.flatnonzero(~missing.present[:, 1])
    assert len(rows) > 10
    z = np.linspace(-6, 6, 1201)
    at = p.means[0, :, 0] + np.einsum(
        "mh,gmh->gm",
        p.curve.weights[:, 0],
        np.sin(p.curve.direction[:, :, 0] * z[:, None, None] + p.curve.phase),
    )
    x = np.linspace(-6, 6, 801)
    inside = np.exp(-((x - at[:, 1, None]) ** 2) / (2 * p.noise[1, 0] ** 2))
    score = np.stack([0 * x, missing.direction[1, 0] * x + missing.offset[1]], axis=1)
    pattern = missing.missing_probability(score)[:, 1]
    for row in rows:
        first = np.exp(
            -(z**2) / 2 - (cohort.complete[row, 0, 0] - at[:, 0]) ** 2 / (2 * p.noise[0, 0] ** 2)
        )
        density = (first @ inside) * pattern
        density /= density.sum()
        exact = density @ x
        assert abs(found.mean[row, 1, 0] - exact) < 0.03
        assert abs(found.variance[row, 1, 0] - density @ (x - exact) ** 2) < 0.03


@pytest.fixture(scope="module")
def nonlinear():
    return generate(preset_spec("nonlinear", patients=900, width=48))


def r2(cohort, mean, rows):
    hidden = ~cohort.measured[rows] & cohort.cells
    x = cohort.complete[rows]
    return 1 - ((x - mean)[hidden] ** 2).mean() / ((x - cohort.complete.mean(axis=0))[hidden] ** 2).mean()


def test_intervals_of_the_best_imputation_have_their_coverage(nonlinear):
    rows = slice(500, 900)
    best = oracle_imputation(nonlinear.parameters, nonlinear.complete[rows], nonlinear.measured[rows])
    hidden = ~nonlinear.measured[rows] & nonlinear.cells
    z = np.abs(nonlinear.complete[rows] - best.mean)[hidden] / np.sqrt(best.variance[hidden])
    assert abs((z < 1.645).mean() - 0.9) < 0.01
    assert abs((z < 0.6745).mean() - 0.5) < 0.01


def test_a_linear_imputation_is_far_from_the_best_one(nonlinear):
    # Complete training patients and the present modalities' linear sums: more than a linear imputer has.
    rows, fitted = np.arange(500, 900), np.arange(500)
    best = oracle_imputation(nonlinear.parameters, nonlinear.complete[rows], nonlinear.measured[rows])
    sums = np.einsum("nmd,mdh->nmh", nonlinear.complete, nonlinear.parameters.curve.weights)
    guess = np.zeros((len(rows), *nonlinear.cells.shape))
    for pattern in np.unique(nonlinear.missingness.present, axis=0):
        inputs = np.c_[np.ones(900), sums[:, pattern].reshape(900, -1)]
        here = (nonlinear.missingness.present[rows] == pattern).all(axis=1)
        for column in np.flatnonzero(~pattern):
            weights = np.linalg.lstsq(inputs[fitted], nonlinear.complete[fitted, column], rcond=None)[0]
            guess[here, column] = inputs[rows[here]] @ weights
    linear = r2(nonlinear, guess, rows)
    assert 0.1 < linear < 0.75 * r2(nonlinear, best.mean, rows)
    assert r2(nonlinear, best.mean, rows) > 0.5


def test_the_finite_sample_limit_of_a_nonlinear_cohort_lies_below_the_best(nonlinear):
    rows = np.arange(500, 900)
    best = oracle_imputation(nonlinear.parameters, nonlinear.complete[rows], nonlinear.measured[rows])
    found = [finite_sample_limit(nonlinear, np.arange(n), rows) for n in (100, 500)] + [best]
    scores = [r2(nonlinear, one.mean, rows) for one in found]
    assert 0.3 < scores[0] < scores[1] < scores[2]
