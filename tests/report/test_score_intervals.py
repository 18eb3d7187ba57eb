"""Intervals of scores of test patients: as wide as known formulas say, and wider for groups."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from hcat_core.report.inputs import KnownOutcomes
from hcat_core.report.performance_figures import calibration_bins, calibration_limits, net_benefit_error
from hcat_core.report.score_intervals import score_intervals


@pytest.fixture
def known():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.35, 120)
    return KnownOutcomes(p, (rng.random(120) < p).astype(int), np.ones(120), None)


def test_sensitivity_and_specificity_have_wilsons_interval(known):
    found = score_intervals(known, 0.2)
    for outcome, pair in ((1, found.sensitivity), (0, found.specificity)):
        rows = known.label == outcome
        right = int(((known.probability >= 0.2) == outcome)[rows].sum())
        exact = binomtest(right, int(rows.sum())).proportion_ci(method="wilson")
        assert pair == (pytest.approx(exact.low, abs=1e-4), pytest.approx(exact.high, abs=1e-4))


def test_the_brier_score_has_the_interval_of_a_mean(known):
    squares = (known.probability - known.label) ** 2
    low, high = score_intervals(known, 0.2).brier
    assert (low + high) / 2 == pytest.approx(squares.mean())
    assert high - low == pytest.approx(2 * 1.96 * squares.std() / np.sqrt(120))


def test_copies_of_patients_in_groups_make_no_interval_narrower(known):
    twice = [np.tile(one, 2) for one in (known.probability, known.label, known.weights)]
    copies = KnownOutcomes(*twice, np.tile(np.arange(120), 2))
    alone, grouped = score_intervals(known, 0.2), score_intervals(copies, 0.2)
    for name in ("brier", "sensitivity", "specificity"):
        assert getattr(grouped, name) == pytest.approx(getattr(alone, name))
    cuts = np.array([0.1, 0.3])
    assert net_benefit_error(copies, cuts) == pytest.approx(net_benefit_error(known, cuts))


def test_the_error_of_the_net_benefit_is_that_of_resampled_patients(known):
    cuts, rng = np.array([0.15]), np.random.default_rng(1)
    gain = np.where(known.label == 1, 1, -0.15 / 0.85) * (known.probability >= 0.15)
    again = [gain[rng.integers(0, 120, 120)].mean() for _ in range(4000)]
    assert net_benefit_error(known, cuts)[0] == pytest.approx(np.std(again), rel=0.05)


def test_nobody_with_the_event_leaves_the_sensitivity_without_an_interval(known):
    none = replace(known, label=np.zeros(120, int))
    assert score_intervals(none, 0.2).sensitivity is None


def test_the_axes_of_calibration_end_where_predictions_and_intervals_do(known):
    bins = calibration_bins(known)
    low, high = calibration_limits(known, bins)
    assert low <= bins.low.min() and bins.high.max() <= high < 0.9
    assert low <= np.quantile(known.probability, 0.01) and np.quantile(known.probability, 0.99) <= high
