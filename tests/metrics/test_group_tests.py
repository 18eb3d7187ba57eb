"""Groups of patients over time: the log-rank test, and Gray's test where an event competes."""

import numpy as np
import pytest
from scipy import stats
from sksurv.compare import compare_survival

from hcat_core.metrics.group_tests import _counts, compare_groups, gray_score


def simulated(rng, n=90, faster=1.0, competing=True):
    """Three groups with different censoring; in the last the event comes ``faster`` times as often."""
    group = rng.integers(0, 3, n)
    rate = np.where(group == 2, faster, 1.0)
    event, other = rng.exponential(1 / rate), rng.exponential(1.0, n) if competing else np.full(n, np.inf)
    censored = rng.exponential(1.5 + group)
    time = np.minimum(np.minimum(event, other), censored)
    cause = np.where(time == event, 1, np.where(time == other, 2, 0))
    return np.round(time, 2) + 0.01, cause, group


def test_without_a_competing_event_it_is_the_log_rank_test_of_scikit_survival():
    time, cause, group = simulated(np.random.default_rng(0), 200, competing=False)
    found = compare_groups(time, cause, group)
    outcome = np.array(list(zip(cause == 1, time, strict=True)), dtype=[("event", bool), ("time", float)])
    statistic, p = compare_survival(outcome, group)
    assert found.name == "log-rank test"
    assert (found.statistic, found.p) == (pytest.approx(statistic), pytest.approx(p))


def test_the_score_of_grays_test_is_that_of_a_calculation_by_hand():
    # Day 1: each group has 2 at risk, so that half an event is expected in the first: 1 - 1/2.
    # Day 3: 1 of 2 is at risk in each, h = 2; in the first R = 2 (1 - 1/2) = 1, in the second R = 2: - 1/3.
    # Day 4: only the first group is at risk: 1 - 1.
    time, cause = np.array([1.0, 4.0, 2.0, 3.0]), np.array([1, 1, 2, 1])
    score, _ = gray_score(_counts(time, cause, np.array([0, 0, 1, 1])))
    assert score == pytest.approx([1 / 6, -1 / 6])


def test_groups_that_do_not_differ_are_told_apart_as_often_as_the_level_says():
    rng = np.random.default_rng(1)
    p = [compare_groups(*simulated(rng)).p for _ in range(400)]
    low, high = stats.binom.ppf([0.001, 0.999], 400, [0.05, 0.05])
    assert low <= sum(value < 0.05 for value in p) <= high
    low, high = stats.binom.ppf([0.001, 0.999], 400, [0.5, 0.5])
    assert low <= sum(value < 0.5 for value in p) <= high


def test_groups_that_differ_are_told_apart():
    found = compare_groups(*simulated(np.random.default_rng(2), 300, faster=4.0))
    assert found.name == "Gray's test" and found.p < 1e-4


def test_one_group_or_no_event_cannot_be_compared():
    time, cause = np.array([1.0, 2.0, 3.0]), np.array([1, 0, 2])
    assert compare_groups(time, cause, np.zeros(3, int)) is None
    assert compare_groups(time, np.array([0, 0, 0]), np.array([0, 1, 1])) is None
    assert compare_groups(time, np.array([2, 0, 2]), np.array([0, 1, 1])) is None
