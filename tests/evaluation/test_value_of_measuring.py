"""What measuring a missing modality would change, against closed forms."""

import numpy as np
import pytest
import torch

from hcat_core.evaluation import value_of_measuring as module
from hcat_core.evaluation.value_of_measuring import (
    value_of_measuring,
    variance_of_movement,
    width_if_measured,
)
from hcat_core.interfaces import Imputation
from hcat_core.testing.cohorts import random_cohort

WIDTHS = {"a": 3, "b": 2, "c": 4}
EFFECT = torch.tensor([0.02, 0.05, 0.0], dtype=torch.float64)  # of a modality's sum on the logit


@pytest.fixture
def cohort():
    return random_cohort(30, WIDTHS, missing=0.5, gaps=0)


def imputation_of(cohort, std=0.5):
    filled = ~cohort.measured & cohort.layout.cells
    return Imputation(cohort.emb, torch.full_like(cohort.emb, std) * filled, filled)


def predict(cohort):
    """One member, two tasks, linear in the sums of the modalities; a missing one adds nothing."""
    sums = (cohort.emb * cohort.measured).sum(dim=2).double() @ EFFECT
    return torch.sigmoid(torch.stack([sums, -2 * sums], dim=1))[None].numpy()


def test_it_is_the_variance_of_the_prediction_over_what_may_be_measured(cohort):
    found = value_of_measuring(predict, cohort, imputation_of(cohort), seed=0)
    of_sum = torch.tensor([3, 2, 4]) * 0.5**2
    now = predict(cohort)[0]
    for task, scale in enumerate((1.0, 4.0)):
        slope = now[:, task] * (1 - now[:, task])  # of the probability by the logit
        of_logit = scale * (EFFECT**2 * of_sum).numpy()
        for row, column in zip(*(~cohort.present.numpy()).nonzero(), strict=True):
            value, error = found.reduction[row, task, column], found.error[row, task, column]
            exact = slope[row] ** 2 * of_logit[column]
            assert abs(value - exact) <= 4 * error + 1e-12
            assert error == pytest.approx(exact * np.sqrt(2 / 128), rel=0.5, abs=1e-12)


def test_the_best_modality_has_the_largest_value_and_none_is_best_where_none_has_any(cohort):
    found = value_of_measuring(predict, cohort, imputation_of(cohort), seed=0)
    missing, best = ~cohort.present.numpy(), found.best()
    assert np.isnan(found.reduction).transpose(0, 2, 1)[~missing].all()
    for row in range(len(cohort)):
        expected = 1 if missing[row, 1] else 0 if missing[row, 0] else -1
        assert (best[row] == expected).all()


def test_a_value_that_noise_could_have_made_does_not_count():
    reduction, error = np.array([[[0.10, 0.20, np.nan]]]), np.array([[[0.01, 0.15, np.nan]]])
    assert module.ValueOfMeasuring(reduction, error).best() == [[0]]


def test_a_patient_has_the_same_values_alone_and_among_others(cohort, monkeypatch):
    whole = value_of_measuring(predict, cohort, imputation_of(cohort), seed=0)
    alone = value_of_measuring(predict, cohort[3:4], imputation_of(cohort[3:4]), seed=0)
    np.testing.assert_allclose(alone.reduction[0], whole.reduction[3], rtol=1e-4)
    monkeypatch.setattr(module, "ROWS", 50)
    parts = value_of_measuring(predict, cohort, imputation_of(cohort), seed=0)
    np.testing.assert_allclose(parts.reduction, whole.reduction, rtol=1e-4)


def test_drawing_in_small_parts_gives_the_same_values_within_their_error(cohort, monkeypatch):
    whole = value_of_measuring(predict, cohort, imputation_of(cohort), seed=0)
    monkeypatch.setattr(module, "CELLS", 1000)
    parts = value_of_measuring(predict, cohort, imputation_of(cohort), seed=0)
    assert not np.array_equal(parts.reduction, whole.reduction, equal_nan=True)
    gap = np.abs(parts.reduction - whole.reduction)
    assert (gap <= 4 * np.hypot(parts.error, whole.error) + module.ROUNDING)[~np.isnan(gap)].all()


def test_the_monte_carlo_error_is_the_spread_over_repetitions():
    rng = np.random.default_rng(0)
    z = 0.2 * rng.standard_normal((1, 4000, 128, 1, 1))
    variance, error = variance_of_movement(z, np.zeros((4000, 1)))
    assert variance.mean() == pytest.approx(0.04 / 16, rel=0.03)
    assert np.sqrt((error**2).mean()) == pytest.approx(variance.std(), rel=0.15)


def test_of_two_modalities_that_move_as_far_the_one_that_members_agree_about_is_worth_more():
    """Five members, each without one of five groups of patients, move by what is true and by chance."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 3000, 128, 1, 1))  # what may be measured
    groups = rng.standard_normal((3000, 1, 5, 1))  # errors of the weight, by group of patients
    by_chance = 0.3 * (groups.sum(axis=2, keepdims=True) - groups) / 4
    size = np.abs(by_chance.mean(axis=2, keepdims=True))
    moved = np.concatenate([x * by_chance, x * np.broadcast_to(size, by_chance.shape)])
    chance, agreed = variance_of_movement(moved, np.zeros((3000, 1)))[0]
    plain = ((moved / 4).mean(axis=3) ** 2).mean(axis=2)
    assert plain[0] == pytest.approx(plain[1])
    np.testing.assert_allclose(agreed, plain[1], rtol=0.2)
    assert chance.mean() < 0.7 * agreed.mean()
    assert (chance <= agreed + 1e-9).all()


def test_a_prediction_that_is_shifted_by_any_draw_has_no_more_value_for_that():
    z = 0.1 * np.random.default_rng(2).standard_normal((1, 50, 64, 1, 1))
    now = np.zeros((50, 1))
    np.testing.assert_allclose(variance_of_movement(z + 3, now)[0], variance_of_movement(z, now)[0])


def test_the_expected_width_is_that_of_intervals_with_the_modality_present(cohort):
    def width(seen):  # as wide as there are modalities missing
        return np.repeat((~seen.present).sum(dim=1, keepdim=True).numpy() / 10.0, 2, axis=1)

    found = width_if_measured(width, cohort, imputation_of(cohort, std=0.0), seed=0)
    missing = ~cohort.present.numpy()
    assert np.isnan(found).transpose(0, 2, 1)[~missing].all()
    for row, column in zip(*missing.nonzero(), strict=True):
        np.testing.assert_allclose(found[row, :, column], (missing[row].sum() - 1) / 10)
