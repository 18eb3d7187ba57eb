import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hcat_core.interfaces import Prediction
from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.recalibration import Recalibration, logit, scaled_curve, sigmoid


def overconfident(n, slope, shift, seed):
    """Predictions with logits that are a linear function of the true ones."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-0.8, 1.0, n)
    label = (rng.random(n) < sigmoid(truth)).astype(int)
    return sigmoid((truth - shift) / slope)[:, None], label[:, None]


def predicted(p):
    curve = np.linspace(0.1, 1, 12) * p[:, :, None]
    interval = np.stack([0.8 * p, np.minimum(1.2 * p, 1)], axis=-1)
    return Prediction(*map(torch.from_numpy, (p, curve, interval)))


def test_new_patients_of_a_miscalibrated_model_become_calibrated():
    for slope, shift in ((0.5, 0.3), (1.6, -0.4)):
        p, y = overconfident(2000, slope, shift, seed=1)
        new, label = overconfident(20000, slope, shift, seed=2)
        before = calibration(new[:, 0], label[:, 0])
        after = Recalibration.fit(p, y).apply(predicted(new))
        found = calibration(after.probability[:, 0], label[:, 0])
        assert abs(before.calibration_slope - slope) < 0.1
        assert abs(found.calibration_slope - 1) < 0.15
        assert abs(found.calibration_intercept) < 0.15


def test_some_hundred_patients_correct_probabilities_that_are_far_too_moderate():
    """Such as those of late fusion with uninformative modalities: logits a quarter of the true ones."""
    slopes = []
    for seed in range(10):
        p, y = overconfident(400, 4.0, 2.4, seed)  # the middle is where it should be
        new, label = overconfident(20000, 4.0, 2.4, seed + 100)
        after = Recalibration.fit(p, y).apply(predicted(new)).probability[:, 0]
        slopes.append(calibration(after, label[:, 0]).calibration_slope)
    assert 0.9 < np.exp(np.mean(np.log(slopes))) < 1.1


def test_a_handful_of_patients_changes_probabilities_little():
    p, y = overconfident(8, 0.5, 0.0, seed=4)
    found = Recalibration.fit(p, y)
    assert 0.5 < found.slope[0] < 2 and abs(found.intercept[0]) < 1.5
    none = Recalibration.fit(p, np.full_like(y, -1))
    assert none.slope == (1.0,) and none.intercept == (0.0,)


@given(st.lists(st.tuples(st.floats(0.001, 0.999), st.booleans()), min_size=2, max_size=40))
def test_recalibration_keeps_the_ranking_of_patients(pairs):
    p = np.array([pair[0] for pair in pairs])[:, None]
    y = np.array([pair[1] for pair in pairs]).astype(int)[:, None]
    moved = Recalibration.fit(p, y).apply(predicted(p)).probability[:, 0]
    order = np.argsort(p[:, 0], kind="stable")
    assert (np.diff(moved[order]) >= 0).all()


def test_the_curve_ends_at_the_recalibrated_probability_and_the_interval_contains_it():
    p = np.linspace(0.05, 0.9, 20)[:, None]
    found = Recalibration((0.4,), (0.6,)).apply(predicted(p))
    assert np.allclose(found.probability, sigmoid(0.4 + 0.6 * logit(p)))
    assert np.allclose(found.curves[:, :, -1], found.probability)
    assert (np.diff(found.curves, axis=2) > 0).all()
    assert (found.low <= found.probability).all() and (found.probability <= found.high).all()


def test_recalibration_gives_no_curve_to_a_task_without_one():
    p = np.array([[0.2], [0.7]])
    curve = np.full((2, 1, 12), np.nan)
    curve[..., -1] = p
    found = Recalibration((0.0,), (2.0,)).apply(Prediction(torch.from_numpy(p), torch.from_numpy(curve)))
    assert np.isnan(found.curves[..., :-1]).all()
    assert np.allclose(found.curves[..., -1], found.probability)


def test_the_records_of_a_group_count_as_one_patient():
    """One patient with ten equal records recalibrates as one patient with one."""
    rng = np.random.default_rng(0)
    p, y = rng.uniform(0.1, 0.6, (60, 1)), rng.integers(0, 2, (60, 1))
    again = np.r_[np.arange(60), np.zeros(9, int)]
    once = Recalibration.fit(p, y)
    assert Recalibration.fit(p[again], y[again], groups=again).slope == pytest.approx(once.slope, abs=1e-3)
    assert Recalibration.fit(p[again], y[again]).slope != pytest.approx(once.slope, abs=1e-2)


def test_a_curve_that_stays_at_0_still_ends_at_the_recalibrated_probability():
    curve = torch.zeros((1, 1, 12), dtype=torch.float64)
    found = Recalibration((0.5,), (0.5,)).apply(Prediction(curve[..., -1], curve))
    assert found.curves[0, 0, -1] == found.probability[0, 0] > 0.01
    assert (np.diff(found.curves[0, 0]) > 0).all()


def test_a_scaled_curve_ends_at_the_probability_to_the_bit_also_where_it_is_unknown():
    curve = np.array([[[0.1, 0.2, 0.3]], [[np.nan, np.nan, np.nan]], [[0.0, 0.0, 0.0]]])
    probability = np.array([[1.0], [0.37], [0.6]])
    found = scaled_curve(curve, probability)
    assert np.array_equal(found[..., -1], probability)
    assert np.isnan(found[1, 0, :2]).all() and (np.diff(found[[0, 2], 0]) > 0).all()


def test_probabilities_of_classes_add_up_to_one_and_are_recalibrated_together():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3000, 3)) * 1.5
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    place = (rng.random((3000, 1)) > truth.cumsum(axis=1)).sum(axis=1)
    labels = (place[:, None] == np.arange(3)).astype(int)
    extreme = truth**3 / (truth**3).sum(axis=1, keepdims=True)  # three times too sure
    found = Recalibration.fit(extreme, labels, families=[(0, 1, 2)])
    after = found.apply(Prediction(torch.from_numpy(extreme))).probability
    assert after.sum(axis=1) == pytest.approx(np.ones(3000))
    assert found.slope == pytest.approx([1 / 3] * 3, rel=0.1)
    assert np.abs(after - truth).mean() < 0.1 * np.abs(extreme - truth).mean()
    twice = np.full((2, 3), 0.6)  # of a model that does not know that they belong together
    assert Recalibration.none(3, [(0, 1, 2)]).apply(
        Prediction(torch.from_numpy(twice))
    ).probability == pytest.approx(np.full((2, 3), 1 / 3))


def test_a_number_is_not_recalibrated_and_keeps_its_interval():
    estimate = torch.tensor([[0.3, 71.0]], dtype=torch.float64)
    ends = torch.tensor([[[0.2, 0.4], [60.0, 80.0]]], dtype=torch.float64)
    before = Prediction.of_estimate(estimate, (1,), interval=ends)
    after = Recalibration((0.5, 0.0), (2.0, 1.0)).apply(before)
    assert after.values[0, 1] == 71 and (after.low[0, 1], after.high[0, 1]) == (60, 80)
    assert after.probability[0, 0] != 0.3 and after.low[0, 0] < after.probability[0, 0] < after.high[0, 0]
