"""Scores of predicted numbers are scikit-learn's and scipy's, and resamples are of the same scores."""

import numpy as np
import pytest
from scipy.stats import binomtest, spearmanr
from sklearn import metrics

from hcat_core.metrics.intervals import Resampling, resampled_weights
from hcat_core.metrics.values import (
    KnownValues,
    _scores,
    paired_r2_difference,
    r2_interval,
    r2_scores,
    value_metrics,
)

RESAMPLING = Resampling(400, 0)


def drawn(n=200, noise=1.0, half=1.645, seed=0):
    """Patients whose value is the prediction and noise; intervals hold nine of ten for ``half`` 1.645."""
    rng = np.random.default_rng(seed)
    predicted = rng.normal(60, 2, n).round(1)
    observed = (predicted + rng.normal(0, noise, n)).round(1)
    return KnownValues(observed, predicted, predicted - half * noise, predicted + half * noise, 59.0)


KNOWN = drawn()


def test_scores_are_those_of_scikit_learn_and_scipy():
    y, p = KNOWN.observed, KNOWN.predicted
    found = value_metrics(KNOWN, RESAMPLING)
    assert found.mae == pytest.approx(metrics.mean_absolute_error(y, p))
    assert found.rmse == pytest.approx(metrics.root_mean_squared_error(y, p))
    assert found.spearman == pytest.approx(spearmanr(y, p).statistic)
    assert found.coverage_90 == np.mean(np.abs(y - p) <= 1.645)
    assert found.width_90 == pytest.approx(2 * 1.645)
    for name in ("r2", "mae", "rmse", "spearman", "coverage_90"):
        low, high = getattr(found, f"{name}_95")
        assert low < getattr(found, name) < high


def test_r2_compares_with_the_mean_of_training_patients_and_not_with_their_own():
    own = metrics.r2_score(KNOWN.observed, KNOWN.predicted)
    at_own_mean = KnownValues(
        *[getattr(KNOWN, n) for n in ("observed", "predicted", "low", "high")], float(KNOWN.observed.mean())
    )
    assert value_metrics(at_own_mean, RESAMPLING).r2 == pytest.approx(own)
    assert value_metrics(KNOWN, RESAMPLING).r2 > own
    usual = KnownValues(KNOWN.observed, np.full(200, 59.0), KNOWN.low, KNOWN.high, 59.0)
    assert value_metrics(usual, RESAMPLING).r2 == 0 and value_metrics(usual, RESAMPLING).spearman is None


def test_the_interval_of_r2_is_that_of_a_bootstrap():
    weights = next(resampled_weights(np.zeros(200, int), np.ones(200), Resampling(2000, 1)))
    drawn_r2 = np.quantile(r2_scores(KNOWN, weights), [0.025, 0.975])
    assert np.diff(r2_interval(KNOWN, RESAMPLING))[0] == pytest.approx(np.diff(drawn_r2)[0], rel=0.15)
    three = {n: np.repeat(getattr(KNOWN, n), 3) for n in ("observed", "predicted", "low", "high")}
    grouped = KnownValues(**three, training_mean=59.0, groups=np.repeat(np.arange(200), 3))
    assert r2_interval(grouped, RESAMPLING) == pytest.approx(r2_interval(KNOWN, RESAMPLING))


def test_the_interval_of_a_high_r2_of_few_patients_stays_below_one():
    few = drawn(n=20, noise=0.3, seed=2)
    low, high = r2_interval(few, RESAMPLING)
    r2 = value_metrics(few, RESAMPLING).r2
    assert r2 > 0.9 and low < r2 < high < 1
    assert r2 - low > 1.5 * (high - r2)


def test_a_resample_is_scored_as_if_its_patients_were_the_patients():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 200, 200)
    again = KnownValues(*(getattr(KNOWN, n)[rows] for n in ("observed", "predicted", "low", "high")), 59.0)
    counts = np.bincount(rows, minlength=200)[None].astype(float)
    assert _scores(KNOWN, counts)[0] == pytest.approx(_scores(again, np.ones((1, 200)))[0])


@pytest.mark.parametrize(("n", "given"), [(19, False), (20, True)])
def test_intervals_need_twenty_patients(n, given):
    part = KnownValues(
        *(getattr(KNOWN, name)[:n] for name in ("observed", "predicted", "low", "high")), 59.0
    )
    assert (value_metrics(part, RESAMPLING).r2_95 is not None) == given
    assert (paired_r2_difference(part, part, RESAMPLING) is not None) == given


def test_the_interval_of_the_coverage_is_wilsons_and_has_a_width_where_all_are_inside():
    wide = KnownValues(KNOWN.observed, KNOWN.predicted, KNOWN.low - 99, KNOWN.high + 99, 59.0)
    low, high = value_metrics(wide, RESAMPLING).coverage_90_95
    assert low == pytest.approx(binomtest(200, 200).proportion_ci(method="wilson").low, abs=1e-4)
    assert high == pytest.approx(1)
    groups = np.arange(200) // 4
    grouped = KnownValues(wide.observed, wide.predicted, wide.low, wide.high, 59.0, groups)
    low, _ = value_metrics(grouped, Resampling(50, 0, groups)).coverage_90_95
    assert low == pytest.approx(binomtest(50, 50).proportion_ci(method="wilson").low, abs=1e-4)


def test_groups_count_instead_of_records():
    groups = np.arange(200) // 20
    grouped = KnownValues(KNOWN.observed, KNOWN.predicted, KNOWN.low, KNOWN.high, 59.0, groups)
    assert grouped.units == 10 and value_metrics(grouped, Resampling(50, 0, groups)).mae_95 is None


def test_the_difference_of_two_models_is_paired():
    noisy = KnownValues(
        KNOWN.observed,
        KNOWN.predicted + np.random.default_rng(1).normal(0, 1, 200),
        KNOWN.low,
        KNOWN.high,
        59.0,
    )
    difference, low, high = paired_r2_difference(KNOWN, noisy, RESAMPLING)
    one = np.ones((1, 200))
    assert difference == pytest.approx((r2_scores(KNOWN, one) - r2_scores(noisy, one))[0])
    assert low > 0 and low < difference < high
    nearly = KnownValues(KNOWN.observed, KNOWN.predicted + 0.001, KNOWN.low, KNOWN.high, 59.0)
    _, low, high = paired_r2_difference(KNOWN, nearly, RESAMPLING)
    assert high - low < np.diff(r2_interval(KNOWN, RESAMPLING))[0] / 20


def test_without_intervals_and_without_patients_nothing_is_made_up():
    nothing = np.full(200, np.nan)
    bare = value_metrics(KnownValues(KNOWN.observed, KNOWN.predicted, nothing, nothing, 59.0), RESAMPLING)
    assert bare.coverage_90 is None and bare.width_90 is None and bare.r2 is not None
    empty = value_metrics(KnownValues(*[np.zeros(0)] * 4, 59.0), RESAMPLING)
    assert empty.r2 is None and empty.mae_95 is None
    untrained = value_metrics(
        KnownValues(KNOWN.observed, KNOWN.predicted, nothing, nothing, np.nan), RESAMPLING
    )
    assert untrained.r2 is None and untrained.mae is not None
