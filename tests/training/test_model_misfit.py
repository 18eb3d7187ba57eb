"""How far a model's logits are from the true ones, from the residuals of held-out patients."""

import numpy as np
import pytest

from hcat_core.metrics.recalibration import sigmoid
from hcat_core.training.model_misfit import HeldOutResiduals, Misfit, estimate_misfit

FEATURES = 20


def held_out(seed, linear=0.0, quadratic=0.0, folds=5, patients=600, each=1, grouped=True):
    """Residuals of patients whose logit is 0 by the model, and wrong by the variance asked for."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal(FEATURES) * np.sqrt(linear / FEATURES)
    products = rng.standard_normal((FEATURES, FEATURES)) * np.sqrt(quadratic) / FEATURES
    for _ in range(folds):
        x = rng.standard_normal((patients, FEATURES))
        error = x @ weights + ((x @ products) * x).sum(axis=1)
        outcome = rng.random(patients) < sigmoid(error)
        row = np.repeat(np.arange(patients), each)
        groups = row if grouped and each > 1 else None
        yield HeldOutResiduals(x[row], (outcome - 0.5)[row, None], np.full((len(row), 1), 0.25), groups)


def average(**wrong):
    found = [estimate_misfit(held_out(seed, **wrong), 1) for seed in range(30)]
    return np.mean([(one.linear[0], one.quadratic[0]) for one in found], axis=0)


def test_a_model_that_is_right_has_next_to_no_misfit():
    assert average() == pytest.approx([0, 0], abs=0.03)


def test_records_of_one_patient_are_no_sign_of_misfit():
    """They have one outcome: taken for patients, they look as if the model missed what they share."""
    assert average(patients=200, each=3) == pytest.approx(average(patients=200), abs=0.05)
    assert max(average(patients=200, each=3, grouped=False)) > 0.3


def test_weights_that_are_wrong_are_found():
    linear, quadratic = average(linear=0.2)
    assert linear == pytest.approx(0.2, rel=0.25) and quadratic < 0.05


def test_interactions_that_the_model_does_not_have_are_found():
    linear, quadratic = average(quadratic=0.2)
    assert quadratic == pytest.approx(0.2, rel=0.25) and linear < 0.05


def test_the_variance_grows_with_the_distance_from_the_mean():
    misfit = Misfit((0.1, 0.0), (0.0, 0.2))
    np.testing.assert_allclose(misfit.variance(np.array([1.0, 2.0])), [[0.1, 0.2], [0.2, 0.8]])
