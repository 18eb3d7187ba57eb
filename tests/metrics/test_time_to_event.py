"""Uno's C index and Brier scores, against scikit-survival and against resampling by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sksurv.metrics import brier_score, concordance_index_ipcw, integrated_brier_score
from sksurv.util import Surv

from hcat_core.cohort import Targets
from hcat_core.layout import Task
from hcat_core.metrics.intervals import Resampling
from hcat_core.metrics.recalibration import sigmoid
from hcat_core.metrics.time_to_event import TimeScores, _uno_c, c_index_interval, time_metrics


def test_time_metrics_equal_scikit_survival(patients, targets):
    _, train_time, train_event = patients(seed=1, tied=False)
    x, time, event = patients(seed=2, tied=False)
    keep = time < train_time.max()  # scikit-survival knows no censoring beyond
    x, time, event = x[keep], time[keep], event[keep]
    task = Task("survival", 1200.0, "death")
    days = np.array(task.curve_days)
    rate = np.exp(0.7 * x[:, 0]) / 900
    curve = 1 - np.exp(-rate[:, None] * days)
    found = time_metrics(task, 0, targets(train_time, train_event), targets(time, event), curve)
    train, test = Surv.from_arrays(train_event, train_time), Surv.from_arrays(event, time)
    expected = concordance_index_ipcw(train, test, curve[:, -1], tau=task.horizon_days)[0]
    assert found.c_index == pytest.approx(expected, abs=2e-3)
    _, scores = brier_score(train, test, 1 - curve, days)
    assert found.brier_ipcw == pytest.approx(scores[-1], abs=2e-3)
    assert found.integrated_brier == pytest.approx(
        integrated_brier_score(train, test, 1 - curve, days), abs=2e-3
    )


@pytest.mark.slow
def test_the_interval_of_the_c_index_equals_resampling_patients(patients, targets):
    _, train_time, train_event = patients(seed=1, tied=False)
    x, time, event = patients(n=120, seed=2)
    task = Task("survival", 1200.0, "death")
    train, test = targets(train_time, train_event), targets(time, event)
    risk = sigmoid(0.5 * x[:, 0] + np.random.default_rng(5).normal(0, 1, 120))
    low, high = c_index_interval(task, 0, train, test, risk, Resampling(2000, 0))
    rng = np.random.default_rng(3)
    found = []
    for _ in range(300):
        again = rng.integers(0, 120, 120)
        curve = np.repeat(risk[again, None], 12, axis=1)
        found.append(time_metrics(task, 0, train, test[torch.from_numpy(again)], curve).c_index)
    assert np.quantile(found, [0.025, 0.975]) == pytest.approx([low, high], abs=0.02)
    point = time_metrics(task, 0, train, test, np.repeat(risk[:, None], 12, axis=1)).c_index
    assert low < point < high
    assert c_index_interval(task, 0, train, test, risk, Resampling(0, 0)) is None
    early = np.flatnonzero((event == 1) & (time < 600))
    for events, told in ((9, False), (10, True)):
        rows = np.r_[early[:events], np.flatnonzero(event == 0)]
        some = test[torch.from_numpy(rows)]
        found = c_index_interval(task, 0, train, some, risk[rows], Resampling(50, 0))
        assert (found is not None) is told


def test_time_metrics_are_none_without_times():
    unknown = Targets(
        torch.ones((5, 1), dtype=torch.int8),
        torch.full((5, 1), float("nan")),
        torch.full((5, 1), -1, dtype=torch.int8),
    )
    found = time_metrics(Task("s", 100.0, "death"), 0, unknown, unknown, np.full((5, 12), 0.5))
    assert found == TimeScores()


def test_with_competing_events_scores_are_those_of_the_uncensored_cohort(targets):
    """Wolbers' C and the Brier scores of the cumulative incidence; 3,000 patients, seed 5."""
    rng = np.random.default_rng(5)
    risk = rng.normal(size=3000)
    event, other, lost = (
        rng.exponential(np.exp(-risk) * 1200),
        rng.exponential(1500, 3000),
        rng.exponential(1500, 3000),
    )
    task = Task("recurrence", 700.0, "recurrence", competing="death")
    rate, both = np.exp(risk) / 1200, np.exp(risk) / 1200 + 1 / 1500
    days = np.array(task.curve_days)
    curve = (rate / both)[:, None] * (1 - np.exp(-both[:, None] * days))

    def outcomes(censoring):
        time = np.minimum.reduce([event, other, censoring])
        return targets(time, np.where(time == event, 1, np.where(time == other, 2, 0)))

    of_all, censored = outcomes(np.full(3000, 1e9)), outcomes(lost)
    truth = time_metrics(task, 0, of_all, of_all, curve)
    found = time_metrics(task, 0, censored, censored, curve)
    assert found.c_index == pytest.approx(truth.c_index, abs=0.01)
    assert found.brier_ipcw == pytest.approx(truth.brier_ipcw, abs=0.004)
    assert found.integrated_brier == pytest.approx(truth.integrated_brier, abs=0.004)
    as_censorings = Targets(censored.labels, censored.time, censored.event % 2)
    net = time_metrics(task, 0, as_censorings, as_censorings, curve)
    assert net.integrated_brier > truth.integrated_brier + 0.004
    assert net.c_index > truth.c_index + 0.005


def test_the_interval_of_the_c_index_counts_and_resamples_groups(patients, targets):
    x, time, event = patients(n=120, seed=2)
    task, found = Task("survival", 1200.0, "death"), targets(time, event)
    risk = sigmoid(x[:, 0])
    again = np.repeat(np.arange(120), 3)
    three = found[torch.from_numpy(again)]
    once = c_index_interval(task, 0, found, found, risk, Resampling(1000, 0))
    grouped = c_index_interval(task, 0, found, three, risk[again], Resampling(1000, 0, again))
    records = c_index_interval(task, 0, found, three, risk[again], Resampling(1000, 0))
    widths = [high - low for low, high in (once, grouped, records)]
    assert widths[1] == pytest.approx(widths[0], rel=0.15) and widths[2] < 0.7 * widths[0]
    nine = np.minimum(again, 8)
    assert c_index_interval(task, 0, found, three, risk[again], Resampling(1000, 0, nine)) is None


@given(st.integers(2, 60), st.booleans(), st.integers(0, 2**32 - 1))
def test_uno_c_equals_the_share_of_all_pairs(n, rounded, seed):
    """Ties of time and risk, competing events on the day of an event, and cohorts without a pair."""
    rng = np.random.default_rng(seed)
    time = np.ceil(rng.exponential(4, n)) if rounded else rng.exponential(4, n)
    cause, risk = rng.integers(0, 3, n), rng.integers(0, 5, n) / 4
    weight, horizon = 1 / rng.uniform(0.05, 1, n), float(np.quantile(time, 0.8))
    total = right = 0.0
    for i in np.flatnonzero((cause == 1) & (time < horizon)):
        for j in range(n):
            later = time[j] > time[i] or (time[j] == time[i] and cause[j] == 0)
            pair = later * weight[i] ** 2 + (cause[j] == 2 and time[j] <= time[i]) * weight[i] * weight[j]
            total += pair
            right += pair * ((risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j]))
    found = _uno_c(time, cause, risk, weight, horizon)
    assert found is None if total == 0 else found == pytest.approx(right / total, abs=1e-12)
