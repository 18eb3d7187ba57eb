"""AUC, thresholds and bootstrap intervals, against scikit-learn and against resampling by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from hcat_core.metrics.discrimination import (
    auc_interval,
    best_threshold,
    binary_metrics,
    paired_auc_difference,
)


def draw(n=200, seed=0, signal=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return 1 / (1 + np.exp(-(signal * (y - 0.5) + rng.normal(size=n)))), y


def test_the_auc_comes_from_probabilities_not_from_decisions():
    p, y = draw()
    result = binary_metrics(p, y, 0.5)
    assert result.auc == pytest.approx(roc_auc_score(y, p))
    assert result.auc != pytest.approx(roc_auc_score(y, p >= 0.5))
    assert binary_metrics(p, y, 0.9).auc == result.auc


@pytest.mark.parametrize("decimals", [1, 2, 16])
def test_ranking_and_decisions_are_scored_as_by_scikit_learn_also_with_ties(decimals):
    for seed in range(30):
        p, y = draw(5 + 4 * seed, seed)
        p, y[:2] = p.round(decimals), (0, 1)
        result = binary_metrics(p, y, 0.6)
        assert result.auc == pytest.approx(roc_auc_score(y, p), abs=1e-12)
        assert result.average_precision == pytest.approx(average_precision_score(y, p), abs=1e-12)
        assert result.f1 == pytest.approx(f1_score(y, p >= 0.6), abs=1e-12)


def test_unknown_outcomes_are_left_out():
    p, y = draw()
    unknown = np.r_[y, -np.ones(50, int)]
    assert binary_metrics(np.r_[p, np.ones(50)], unknown, 0.5) == binary_metrics(p, y, 0.5)


@pytest.mark.slow
@given(st.integers(0, 200), st.integers(2, 60))
def test_no_other_threshold_has_a_higher_f1(seed, n):
    p, y = draw(n, seed)
    p = p.round(1)
    if y.min() == y.max():
        assert best_threshold(p, y) == 0.5
        return
    best = f1_score(y, p >= best_threshold(p, y))
    assert all(best >= f1_score(y, p >= cut) - 1e-12 for cut in np.r_[0, p, 1.1])


def test_one_outcome_only_gives_none_not_a_number():
    result = binary_metrics(np.array([0.2, 0.9]), np.array([1, 1]), 0.5)
    assert result.auc is None and result.f1 is None and result.specificity is None
    assert auc_interval(np.array([0.2, 0.9]), np.array([1, 1]), resamples=10, seed=0) is None


@pytest.mark.parametrize("events", [1, 4, 5])
def test_fewer_than_five_events_get_no_interval(events):
    """Resampling one event gives the same event each time: an interval without width would mislead."""
    p, y = np.linspace(0, 1, 30), np.zeros(30, int)
    y[-events:] = 1
    for label in (y, 1 - y):
        interval = auc_interval(p, label, resamples=50, seed=0)
        difference = paired_auc_difference(p, p[::-1], label, resamples=50, seed=0)
        assert (interval is None, difference is None) == (events < 5, events < 5)


@pytest.mark.slow
def test_the_bootstrap_equals_resampling_patient_by_patient():
    p, y = draw(60, signal=0.8)
    p = p.round(1)
    low, high = auc_interval(p, y, resamples=4000, seed=1)
    rng = np.random.default_rng(2)
    events, free = np.flatnonzero(y), np.flatnonzero(1 - y)
    aucs = []
    for _ in range(2000):
        rows = np.r_[rng.choice(events, len(events)), rng.choice(free, len(free))]
        aucs.append(roc_auc_score(y[rows], p[rows]))
    assert [low, high] == pytest.approx(np.quantile(aucs, [0.025, 0.975]), abs=0.02)


def test_95_percent_intervals_cover_the_true_auc_about_95_percent_of_the_time():
    # Two unit normals one apart: AUC = Phi(1 / sqrt 2).
    truth, hits = 0.7602, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        y = np.r_[np.ones(60, int), np.zeros(90, int)]
        low, high = auc_interval(rng.normal(size=150) + y, y, resamples=400, seed=seed)
        hits += low <= truth <= high
    assert 0.88 <= hits / 200 <= 0.99
