"""Intervals of AUC and average precision: by resampling, by DeLong, and their coverage."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from hcat_core.metrics.fewest import FEWEST_OF_EACH, FEWEST_TO_RESAMPLE
from hcat_core.metrics.intervals import (
    Resampling,
    auc_influence,
    auc_interval,
    aucs,
    average_precision_interval,
    paired_auc_difference,
)
from hcat_core.metrics.recalibration import sigmoid
from hcat_core.metrics.resampling import group_numbers


def draw(events, free, separation, seed):
    """Scores of unit normals ``separation`` apart: AUC = Phi(separation / sqrt 2)."""
    rng = np.random.default_rng(seed)
    y = np.r_[np.ones(events, int), np.zeros(free, int)]
    return rng.normal(size=len(y)) + separation * y, y


def coverage(interval, truth, runs):
    ends = [interval(seed) for seed in range(runs)]
    return np.mean([low <= truth <= high for low, high in ends])


@pytest.mark.parametrize("events", [1, FEWEST_OF_EACH - 1, FEWEST_OF_EACH, FEWEST_TO_RESAMPLE])
def test_there_is_no_interval_of_fewer_than_ten_of_either_outcome(events):
    """Resampling one event gives the same event each time: an interval without width would mislead."""
    p, y = np.linspace(0, 1, 60), np.zeros(60, int)
    y[-events:] = 1
    for label in (y, 1 - y):
        resampling = Resampling(50, 0)
        interval = auc_interval(p, label, None, resampling)
        difference = paired_auc_difference(p, p[::-1], label, None, resampling)
        assert (interval is None, difference is None) == (events < FEWEST_OF_EACH,) * 2
        precision = average_precision_interval(p, label, None, resampling)
        assert (precision is None) == (events < FEWEST_TO_RESAMPLE)
        assert auc_interval(p, label, None, Resampling(0, 0)) is None


def test_ten_events_of_one_patient_are_one_event():
    p, y = draw(30, 30, 1.0, 0)
    groups = np.r_[np.zeros(30, int), np.arange(1, 31)]
    assert auc_interval(p, y, None, Resampling(100, 0)) is not None
    assert auc_interval(p, y, None, Resampling(100, 0, groups)) is None


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_the_interval_of_the_average_precision_equals_resampling_patient_by_patient(weighted):
    p, y = draw(30, 40, 0.8, 0)
    p = p.round(1)
    w = np.random.default_rng(1).uniform(1, 4, 70) if weighted else np.ones(70)
    rng = np.random.default_rng(2)
    events, free = np.flatnonzero(y), np.flatnonzero(1 - y)
    expected = []
    for _ in range(2000):
        rows = np.r_[rng.choice(events, len(events)), rng.choice(free, len(free))]
        expected.append(average_precision_score(y[rows], p[rows], sample_weight=w[rows]))
    found = average_precision_interval(p, y, w, Resampling(4000, 1))
    assert found == pytest.approx(np.quantile(expected, [0.025, 0.975]), abs=0.02)


def test_resampled_aucs_are_those_of_repeated_patients():
    p, y = draw(15, 25, 0.8, 0)
    p, counts = p.round(1), np.random.default_rng(1).integers(0, 4, (20, 40))
    expected = [roc_auc_score(np.repeat(y, count), np.repeat(p, count)) for count in counts]
    assert aucs(p, y == 1, counts.astype(float)) == pytest.approx(expected)


def test_without_weights_the_influences_give_delongs_variance():
    p, y = draw(12, 25, 1.0, 3)
    p = p.round(1)
    event = y == 1
    right = (np.sign(p[event][:, None] - p[~event][None, :]) + 1) / 2
    found = auc_influence(p, event, np.ones(len(y)))
    assert found.auc == pytest.approx(roc_auc_score(y, p))
    assert found.influence[event] * 12 == pytest.approx(right.mean(axis=1) - found.auc)
    assert found.influence[~event] * 25 == pytest.approx(right.mean(axis=0) - found.auc)


def test_95_percent_intervals_cover_the_true_auc_about_95_percent_of_the_time():
    truth = norm.cdf(1 / np.sqrt(2))

    def interval(seed):
        return auc_interval(*draw(60, 90, 1.0, seed), None, Resampling(400, seed))

    assert 0.92 <= coverage(interval, truth, 400) <= 0.98


@pytest.mark.parametrize(("events", "separation"), [(10, 0.5), (10, 1.8), (20, 2.5)])
def test_intervals_of_few_events_and_of_high_aucs_cover_too(events, separation):
    """10 or 20 events among 60 patients, 1,000 cohorts; percentiles of a bootstrap: .92, .87 and .87."""
    truth = norm.cdf(separation / np.sqrt(2))

    def interval(seed):
        return auc_interval(*draw(events, 60 - events, separation, seed), None, Resampling(1, seed))

    assert 0.93 <= coverage(interval, truth, 1000) <= 0.985


def test_a_model_that_separates_ten_events_from_the_rest_is_not_certain_to_do_so_again():
    p, y = np.arange(50.0), (np.arange(50) >= 40).astype(int)
    low, high = auc_interval(p, y, None, Resampling(100, 0))
    assert low < 0.98 and high <= 1
    difference, less, more = paired_auc_difference(p, p**2, y, None, Resampling(100, 0))
    assert difference == 0 and less < 0 < more
    groups = np.repeat(np.arange(50), 20)
    again = auc_interval(np.repeat(p, 20), np.repeat(y, 20), None, Resampling(100, 0, groups))
    assert again == pytest.approx((low, high))


def test_groups_that_have_both_outcomes_are_taken_together():
    """20 groups of six records, half of whose variance is shared; 1,000 cohorts."""
    truth = norm.cdf(1 / np.sqrt(2))

    def interval(seed):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(20), 6)
        y = (rng.random(120) < 0.4).astype(int)
        score = np.sqrt(0.5) * (np.repeat(rng.normal(size=20), 6) + rng.normal(size=120)) + y
        return auc_interval(score, y, None, Resampling(1, seed, groups))

    assert 0.92 <= coverage(interval, truth, 1000) <= 0.98


def visits(seed, patients=80, each=3, correlation=0.9):
    """Three records a patient with correlated scores, and one outcome; AUC = Phi(1 / sqrt 2)."""
    rng = np.random.default_rng(seed)
    y = np.repeat(rng.permutation(np.arange(patients) % 3 == 0), each).astype(int)
    own = np.repeat(rng.normal(size=patients), each) * np.sqrt(correlation)
    score = own + rng.normal(size=patients * each) * np.sqrt(1 - correlation) + y
    return score, y, group_numbers([f"P{i // each}" for i in range(patients * each)])


def test_intervals_of_several_records_a_patient_resample_patients():
    """Three records, ICC .9, 80 patients, 400 cohorts: taken for 240 patients, they cover about .75."""
    truth = norm.cdf(1 / np.sqrt(2))

    def by_patient(seed):
        p, y, groups = visits(seed)
        return auc_interval(p, y, None, Resampling(400, seed, groups))

    def by_record(seed):
        p, y, _ = visits(seed)
        return auc_interval(p, y, None, Resampling(400, seed))

    assert 0.92 <= coverage(by_patient, truth, 400) <= 0.98
    assert coverage(by_record, truth, 400) < 0.85


def test_few_events_of_several_records_a_patient_use_their_groups_too():
    """36 patients with 12 events, three records each, 1,000 cohorts: DeLong's error by group."""
    truth = norm.cdf(1 / np.sqrt(2))

    def interval(seed):
        p, y, groups = visits(seed, patients=36)
        return auc_interval(p, y, None, Resampling(100, seed, groups))

    assert 0.92 <= coverage(interval, truth, 1000) <= 0.985


@pytest.mark.parametrize("events", [12, 60])
def test_a_difference_of_two_equal_models_is_zero_in_95_percent(events):
    def difference(seed):
        rng = np.random.default_rng(1000 + seed)
        p, y = draw(events, 90, 1.0, seed)
        shared = 0.7 * p
        models = [shared + rng.normal(size=len(y)) * 0.5 for _ in range(2)]
        return paired_auc_difference(*models, y, None, Resampling(400, seed))[1:]

    assert 0.925 <= coverage(difference, 0.0, 400) <= 0.98


def test_paired_differences_of_several_records_resample_patients():
    def difference(seed, grouped):
        rng = np.random.default_rng(1000 + seed)
        p, y, groups = visits(seed)
        noise = [np.repeat(rng.normal(size=80), 3) * 0.5 for _ in range(2)]
        models = [p + one for one in noise]
        resampling = Resampling(300, seed, groups if grouped else None)
        return paired_auc_difference(*models, y, None, resampling)[1:]

    assert 0.92 <= coverage(lambda seed: difference(seed, True), 0.0, 300) <= 0.98
    assert coverage(lambda seed: difference(seed, False), 0.0, 300) < 0.85


def test_the_interval_is_delongs_with_unbiased_variances_and_satterthwaites_t():
    rng = np.random.default_rng(4)
    y = np.r_[np.ones(12, int), np.zeros(30, int)]
    p = sigmoid(rng.normal(0.8 * y, 1))
    events, free = p[y == 1], p[y == 0]
    right = (events[:, None] > free) + 0.5 * (events[:, None] == free)
    parts = np.array([right.mean(axis=1).var(ddof=1) / 12, right.mean(axis=0).var(ddof=1) / 30])
    freedom = parts.sum() ** 2 / (parts**2 / [11, 29]).sum()
    auc = right.mean()
    half = stats.t.ppf(0.975, freedom) * np.sqrt(parts.sum()) / (auc * (1 - auc))
    expected = sigmoid(np.log(auc / (1 - auc)) + np.array([-half, half]))
    assert auc_interval(p, y, None, Resampling(10, 0)) == pytest.approx(tuple(expected), abs=1e-12)
