"""Fits of many folds and penalties at once."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from hcat_builtin.estimators.penalised_regression import (
    PENALTIES,
    CoxLikelihood,
    LabelLikelihood,
    SquaredLikelihood,
    fit_penalised,
    minimise,
)


@pytest.fixture(params=["times", "labels", "values"])
def outcomes(request):
    """Features, an offset, and what makes the likelihoods of the patients of each column."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(90, 6))
    x[:, 5] = x[:, 0] + 0.3 * x[:, 5]
    offset = 0.4 * rng.normal(size=90)
    time = np.ceil(30 * rng.exponential(np.exp(-x[:, 0]), 90))
    event = rng.random(90) < 0.6
    value = x[:, 0] + rng.normal(size=90)

    def make(rows):
        def likelihood(patients):
            if request.param == "times":
                return CoxLikelihood(time[rows], event[rows], patients, offset[rows])
            if request.param == "values":
                return SquaredLikelihood(value[rows], patients, offset[rows])
            return LabelLikelihood(event[rows], patients, offset[rows])

        return likelihood

    return x, make


def test_columns_fitted_together_are_what_each_is_alone(outcomes):
    x, make = outcomes
    patients = np.random.default_rng(0).random((90, 4)) < [[0.5, 0.8, 0.9, 1.0]]
    ridge, lasso = np.array([0.01, 0.1, 0.001, 0.02]), np.array([0.01, 0.05, 0.001, 0.2])
    together = minimise(x, make(slice(None))(patients), ridge, lasso)
    for column, rows in enumerate(patients.T):
        alone = make(rows)(np.ones((rows.sum(), 1), dtype=bool))
        weights = minimise(x[rows], alone, ridge[column : column + 1], lasso[column : column + 1])
        np.testing.assert_allclose(together[:, column], weights[:, 0], atol=2e-5)


def test_nothing_nearby_has_a_smaller_penalised_loss(outcomes):
    x, make = outcomes
    likelihood = make(slice(None))(np.ones((90, 1), dtype=bool))
    penalty = np.array([0.05])
    found = minimise(x, likelihood, penalty, penalty)

    def loss(w):
        return likelihood.value(x @ w)[0] + 0.025 * (w**2).sum() + 0.05 * np.abs(w).sum()

    rng = np.random.default_rng(1)
    others = [found + size * rng.normal(size=found.shape) for size in (1e-3, 1e-2, 0.1) for _ in range(50)]
    assert min(loss(w) for w in others) > loss(found)


def test_a_patients_score_is_by_weights_fitted_without_the_patient(outcomes):
    x, make = outcomes
    fold = np.arange(90) % 3
    fit = fit_penalised(x, make(slice(None)), fold, 0.5)
    assert fit.gain > 0
    everyone = np.ones((90, 1), dtype=bool)
    largest = np.abs(x.T @ make(slice(None))(everyone)(np.zeros((90, 1)))[1]).max()
    path = largest * np.logspace(0, -2.5, PENALTIES)  # half of each penalty is lasso, half ridge
    for held_out in range(3):
        left_out = fold == held_out
        likelihood = make(~left_out)(np.ones((60, PENALTIES), dtype=bool))
        scores = x[left_out] @ minimise(x[~left_out], likelihood, path, path)
        difference = np.abs(scores - fit.out_of_fold[left_out, None]).max(axis=0)
        assert difference.min() < 1e-4 < np.abs(fit.out_of_fold[left_out]).max()


@pytest.mark.parametrize(("share", "spread"), [(0.04, 1.0), (0.1, 2.0), (0.5, 1.0)])
def test_label_regression_has_the_slopes_of_logistic_regression_with_its_own_intercept(share, spread):
    rng = np.random.default_rng(5)
    x = spread * rng.normal(size=(3000, 3))
    score = x @ [0.8, -0.5, 0.3]
    event = rng.random(3000) < 1 / (1 + np.exp(-score - np.log(share / (1 - share))))
    expected = LogisticRegression(C=np.inf, tol=1e-10).fit(x, event)
    likelihood = LabelLikelihood(event, np.ones((3000, 1), dtype=bool))
    weights = minimise(x, likelihood, np.zeros(1), np.zeros(1))
    np.testing.assert_allclose(weights[:, 0], expected.coef_[0], rtol=0.01)
    likelihood.value(x @ weights)
    assert likelihood.intercept[0] == pytest.approx(expected.intercept_[0], rel=0.01)


def test_the_slope_of_a_label_likelihood_is_its_derivative_whatever_the_offset(outcomes):
    x, make = outcomes
    likelihood = make(slice(None))(np.ones((90, 1), dtype=bool))
    scores, along = x[:, :1], np.random.default_rng(0).normal(size=(90, 1))
    step = 1e-4 * along
    difference = likelihood.value(scores + step) - likelihood.value(scores - step)
    assert difference[0] / 2e-4 == pytest.approx(float((likelihood(scores)[1] * along).sum()), rel=1e-4)


def test_the_regression_of_values_is_the_elastic_net_of_scikit_learn():
    from sklearn.linear_model import ElasticNet

    rng = np.random.default_rng(3)
    x = rng.normal(size=(120, 6))
    y = x @ np.array([1.0, -0.5, 0, 0, 0.3, 0]) + rng.normal(size=120) + 7
    part = rng.random((120, 2)) < 0.7
    part[:, 0] = True
    found = minimise(x, SquaredLikelihood(y, part), np.array([0.05, 0.1]), np.array([0.1, 0.05]))
    for column, (ridge, lasso) in enumerate([(0.05, 0.1), (0.1, 0.05)]):
        rows = part[:, column]
        net = ElasticNet(alpha=ridge + lasso, l1_ratio=lasso / (ridge + lasso), tol=1e-9, max_iter=10_000)
        assert found[:, column] == pytest.approx(net.fit(x[rows], y[rows]).coef_, abs=1e-3)


def test_a_known_part_of_a_value_is_not_regressed_again():
    rng = np.random.default_rng(4)
    x, known = rng.normal(size=(80, 3)), rng.normal(size=80)
    y = x[:, 0] + 5 * known
    everyone = np.ones((80, 1), dtype=bool)
    zero = np.zeros(1)
    found = minimise(x, SquaredLikelihood(y, everyone, 5 * known), zero, zero)
    assert found[:, 0] == pytest.approx([1, 0, 0], abs=1e-4)
