"""The tipping point of a decision, against closed forms."""

import numpy as np
import pytest
import torch

from hcat_core.evaluation.tipping_point import Decisions, tipping_points
from hcat_core.interfaces import Imputation
from hcat_core.metrics.recalibration import logit
from hcat_core.testing.cohorts import random_cohort

WIDTHS = {"a": 3, "b": 2, "c": 4}
EFFECT = torch.tensor([0.3, 0.8, 0.0], dtype=torch.float64)  # of a modality's sum on the logit
SCALE = torch.tensor([2.0, 0.5, 1.0])  # standard deviation of the training patients, of every cell
THRESHOLDS = (0.55, 0.3)


@pytest.fixture
def cohort():
    return random_cohort(60, WIDTHS, missing=0.5, gaps=0)


def imputation_of(cohort, value=0.2):
    filled = ~cohort.measured & cohort.layout.cells
    emb = torch.where(filled, value, cohort.emb)
    return Imputation(emb, 0.5 * filled, filled)


def predict(cohort):
    """Two tasks, linear in the sums of the modalities; a missing one adds its imputed value."""
    sums = imputation_of(cohort).emb.sum(dim=2).double() @ EFFECT
    return torch.sigmoid(torch.stack([sums, -sums], dim=1)).numpy()


def found_for(cohort, predict=predict, probability=None):
    probability = predict(cohort) if probability is None else probability
    decisions = Decisions(predict, probability, THRESHOLDS)
    scale = SCALE[:, None].expand(3, 4)
    return tipping_points(decisions, cohort, imputation_of(cohort), scale)


def test_it_is_the_shift_at_which_a_linear_prediction_crosses_its_threshold(cohort):
    found = found_for(cohort)
    assert (found.tried == ~cohort.present.numpy()).all()
    assert np.isnan(found.shift.transpose(0, 2, 1)[~found.tried]).all()
    exact = (logit(np.array(THRESHOLDS)) - logit(predict(cohort)))[:, :, None]
    slope = np.array([1.0, -1.0])[:, None] * (EFFECT * SCALE * torch.tensor([3, 2, 4])).numpy()
    with np.errstate(divide="ignore"):
        exact = exact / slope  # (N, T, M)
    for row, column in np.argwhere(found.tried):
        for task in (0, 1):
            expected, shift = exact[row, task, column], found.shift[row, task, column]
            if abs(expected) > 3:
                assert np.isnan(shift)
            else:
                assert 0 <= np.sign(expected) * (shift - expected) < 0.005
    assert np.isfinite(found.shift).sum() > 20 and (found.shift < 0).any() and (found.shift > 0).any()


def test_the_nearer_of_two_changes_counts(cohort):
    def humped(patients):
        p = predict(patients)
        sums = patients.emb[:, 1, :2].mean(dim=1).double().numpy() / 0.5  # in standard deviations
        p[:, 0] = np.where((sums > -0.6) & (sums < 2.4), 0.2, 0.8)
        return p

    found = found_for(cohort, humped, np.full((60, 2), 0.2))
    shift = found.shift[found.tried[:, 1], 0, 1]
    assert shift == pytest.approx(-1.0, abs=0.005)  # what was imputed is .2 / .5 = .4


def test_a_prediction_that_samples_moves_by_what_a_single_pass_moves(cohort):
    # The reported probability is .3 on the logit scale above the single pass.
    reported = 1 / (1 + np.exp(-(logit(predict(cohort)) + 0.3)))
    found = found_for(cohort, probability=reported)
    slope = float(EFFECT[1] * SCALE[1] * 2)
    for row in np.flatnonzero(found.tried[:, 1]):
        expected = (logit(np.array(THRESHOLDS[0])) - logit(reported[row, 0])) / slope
        if abs(expected) < 3:
            assert found.shift[row, 0, 1] == pytest.approx(expected, abs=0.005)


def test_a_modality_without_influence_never_tips_even_at_the_threshold(cohort):
    probability = predict(cohort)
    probability[:, 0] = THRESHOLDS[0]
    found = found_for(cohort, probability=probability)
    assert np.isnan(found.shift[:, :, 2]).all()


def test_a_patients_tipping_points_do_not_depend_on_the_others(cohort):
    rows = torch.tensor([7, 3])
    np.testing.assert_array_equal(found_for(cohort[rows]).shift, found_for(cohort).shift[[7, 3]])
