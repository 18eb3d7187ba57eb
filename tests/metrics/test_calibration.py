"""The calibration slope and intercept."""

import numpy as np
import pytest

from hcat_core.metrics.calibration import Calibration, calibration


def test_the_calibration_slope_recovers_how_far_logits_were_stretched():
    rng = np.random.default_rng(0)
    z = rng.standard_normal(20_000)
    label = (rng.random(20_000) < 1 / (1 + np.exp(-z))).astype(int)
    label[:100] = -1
    for stretch, shift in ((1.0, 0.0), (2.0, 0.0), (1.0, 0.7)):
        found = calibration(1 / (1 + np.exp(-(stretch * z - shift))), label)
        assert found.calibration_slope == pytest.approx(1 / stretch, abs=0.05)
        if stretch == 1.0:
            assert found.calibration_intercept == pytest.approx(shift, abs=0.05)


@pytest.mark.parametrize("events", [9, 10])
def test_a_slope_takes_ten_patients_of_either_outcome(events):
    label = np.roll(np.arange(60) < events, 3).astype(int)
    found = calibration(np.linspace(0.6, 0.2, 60), label)
    assert (found != Calibration()) is (events == 10)


def test_the_interval_of_the_slope_takes_records_of_one_patient_together():
    """Three equal records a patient: 200 cohorts of 150 patients."""
    inside = {True: 0, False: 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        z = rng.standard_normal(150)
        label = (rng.random(150) < 1 / (1 + np.exp(-z))).astype(int)
        p, y, groups = np.repeat(1 / (1 + np.exp(-z)), 3), np.repeat(label, 3), np.repeat(np.arange(150), 3)
        for grouped in (True, False):
            low, high = calibration(p, y, None, groups if grouped else None).calibration_slope_95
            inside[grouped] += low <= 1 <= high
    assert 0.91 <= inside[True] / 200 <= 0.99 and inside[False] / 200 < 0.85


def test_a_constant_prediction_and_one_that_separates_the_outcomes_have_no_slope():
    label = (np.arange(200) < 60).astype(int)
    for p in (
        np.full(200, 0.3),
        np.full(200, 0.25) + 1e-12 * np.arange(200),
        1 - (np.arange(200) + 1) / 202,
    ):
        found = calibration(p, label)
        assert found.calibration_slope is None and found.calibration_slope_95 is None
    assert calibration(np.full(200, 0.2), label).calibration_intercept == pytest.approx(0.539, abs=0.01)
