"""AUC, average precision, thresholds and decisions, against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, recall_score, roc_auc_score

from hcat_core.metrics.discrimination import best_threshold, binary_metrics


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
        for w in (None, np.random.default_rng(seed).uniform(1, 4, len(y))):
            result, given = binary_metrics(p, y, 0.6, w), {"sample_weight": w}
            assert result.auc == pytest.approx(roc_auc_score(y, p, **given), abs=1e-12)
            assert result.average_precision == pytest.approx(
                average_precision_score(y, p, **given), abs=1e-12
            )
            assert result.f1 == pytest.approx(f1_score(y, p >= 0.6, **given), abs=1e-12)
            assert result.sensitivity == pytest.approx(recall_score(y, p >= 0.6, **given), abs=1e-12)
            assert result.accuracy == pytest.approx(accuracy_score(y, p >= 0.6, **given), abs=1e-12)


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
    for w in (None, np.random.default_rng(seed).uniform(1, 4, n)):
        best = f1_score(y, p >= best_threshold(p, y, w), sample_weight=w)
        assert all(best >= f1_score(y, p >= cut, sample_weight=w) - 1e-12 for cut in np.r_[0, p, 1.1])


def test_one_outcome_only_gives_none_not_a_number():
    result = binary_metrics(np.array([0.2, 0.9]), np.array([1, 1]), 0.5)
    assert result.auc is None and result.f1 is None and result.specificity is None


def test_every_score_of_decisions_and_probabilities_counts_a_patient_of_weight_2_twice():
    p, y = draw(60, 3)
    weight = np.random.default_rng(1).integers(1, 4, 60)
    found = binary_metrics(p, y, 0.45, weight.astype(float))
    again = np.repeat(np.arange(60), weight)
    expected, plain = binary_metrics(p[again], y[again], 0.45), binary_metrics(p, y, 0.45)
    for name in ("auc", "average_precision", "brier", "f1", "accuracy", "sensitivity", "specificity"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name))
        assert getattr(found, name) != pytest.approx(getattr(plain, name), abs=1e-4), name
    assert (found.patients, found.events) == (60, int(y.sum()))


def test_a_threshold_lies_halfway_to_the_next_lower_probability():
    p, y = np.array([0.1, 0.2, 0.4, 0.8, 0.9]), np.array([0, 0, 0, 1, 1])
    assert best_threshold(p, y) == pytest.approx(0.6)
    assert best_threshold(p[3:], np.array([1, 1])) == 0.5
    all_events_but_the_last = np.array([1, 1, 1, 1, 0])
    assert best_threshold(p, all_events_but_the_last) == pytest.approx(0.1), "there is no lower one"
