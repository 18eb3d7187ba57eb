from dataclasses import replace

import numpy as np
import pytest
import torch
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis
from sksurv.metrics import brier_score, concordance_index_ipcw, integrated_brier_score
from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator
from sksurv.util import Surv

from hcat_builtin.estimators.coxnet import CoxLikelihood
from hcat_core.cohort import Targets, Task
from hcat_core.data.outcomes import derive_labels
from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.recalibration import sigmoid
from hcat_core.metrics.survival import (
    aalen_johansen,
    breslow,
    causes,
    kaplan_meier,
    known_weights,
    partial_likelihood,
    pseudo_observations,
)
from hcat_core.metrics.time_to_event import TimeScores, c_index_interval, time_metrics


def patients(n=200, seed=0, tied=True):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    event_time = rng.exponential(np.exp(-x[:, 0]) * 900)
    lost = rng.exponential(1500, n)
    time = np.minimum(event_time, lost)
    time = np.ceil(time / 20) * 20 if tied else time
    return x, time, (event_time <= lost).astype(np.int64)


def targets(time, event):
    return Targets(
        torch.zeros((len(time), 1), dtype=torch.int8),
        torch.from_numpy(time).float().unsqueeze(1),
        torch.from_numpy(event).to(torch.int8).unsqueeze(1),
    )


def test_kaplan_meier_is_that_of_scikit_survival():
    _, time, event = patients()
    days, survival = kaplan_meier_estimator(event == 1, time)
    np.testing.assert_allclose(kaplan_meier(time, event, days), survival, atol=1e-12)


def test_the_metrics_of_time_are_those_of_scikit_survival():
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


def test_the_interval_of_the_c_index_is_that_of_resampled_patients():
    _, train_time, train_event = patients(seed=1, tied=False)
    x, time, event = patients(n=120, seed=2)
    task = Task("survival", 1200.0, "death")
    train, test = targets(train_time, train_event), targets(time, event)
    risk = sigmoid(0.5 * x[:, 0] + np.random.default_rng(5).normal(0, 1, 120))
    low, high = c_index_interval(task, 0, train, test, risk, resamples=2000, seed=0)
    rng = np.random.default_rng(3)
    found = []
    for _ in range(300):
        again = rng.integers(0, 120, 120)
        curve = np.repeat(risk[again, None], 12, axis=1)
        found.append(time_metrics(task, 0, train, test[torch.from_numpy(again)], curve).c_index)
    assert np.quantile(found, [0.025, 0.975]) == pytest.approx([low, high], abs=0.02)
    point = time_metrics(task, 0, train, test, np.repeat(risk[:, None], 12, axis=1)).c_index
    assert low < point < high
    assert c_index_interval(task, 0, train, test, risk, resamples=0, seed=0) is None
    early = np.flatnonzero((event == 1) & (time < 600))
    for events, told in ((4, False), (5, True)):
        rows = np.r_[early[:events], np.flatnonzero(event == 0)]
        some = test[torch.from_numpy(rows)]
        found = c_index_interval(task, 0, train, some, risk[rows], resamples=50, seed=0)
        assert (found is not None) is told


def test_metrics_of_time_are_none_without_times():
    unknown = Targets(
        torch.ones((5, 1), dtype=torch.int8),
        torch.full((5, 1), float("nan")),
        torch.full((5, 1), -1, dtype=torch.int8),
    )
    found = time_metrics(Task("s", 100.0, "death"), 0, unknown, unknown, np.full((5, 12), 0.5))
    assert found == TimeScores()


def test_breslow_is_the_baseline_of_scikit_survival():
    x, time, event = patients()
    model = CoxPHSurvivalAnalysis(ties="breslow", n_iter=50).fit(x, Surv.from_arrays(event, time))
    step = model.cum_baseline_hazard_
    days = np.array([200.0, 600.0, 1200.0])
    ours = breslow(*(torch.from_numpy(a) for a in (x @ model.coef_, time, event == 1, days)))
    np.testing.assert_allclose(ours, [step(day) for day in days], rtol=1e-9)


def test_the_fast_partial_likelihood_is_torchsurvs():
    x, time, event = patients()
    w = np.array([0.5, -0.3, 0.1])
    value, slope = CoxLikelihood(x, time, event == 1)(w)
    at = torch.from_numpy(w).requires_grad_()
    from torchsurv.loss.cox import neg_partial_log_likelihood

    with pytest.warns(UserWarning, match="Ties"):
        whole = neg_partial_log_likelihood(
            torch.from_numpy(x) @ at,
            torch.from_numpy(event == 1),
            torch.from_numpy(time),
            ties_method="breslow",
            reduction="sum",
        )
    whole.backward()
    assert value * event.sum() == pytest.approx(whole.item(), rel=1e-6)
    np.testing.assert_allclose(slope * event.sum(), at.grad, rtol=1e-5)


def test_the_elastic_net_is_that_of_scikit_survival():
    from hcat_builtin.estimators.coxnet import CoxnetEstimator
    from hcat_core.testing.cohorts import random_cohort

    x, time, event = patients()
    estimator = CoxnetEstimator(random_cohort(8).layout, l1_ratio=0.5)
    ours = estimator._solve(CoxLikelihood(x, time, event == 1), 0.1, np.zeros(3))
    # Its penalty counts patients where ours counts events.
    theirs = CoxnetSurvivalAnalysis(
        l1_ratio=0.5, alphas=[0.1 * event.mean()], tol=1e-12, max_iter=100_000
    ).fit(x, Surv.from_arrays(event, time))
    np.testing.assert_allclose(ours, theirs.coef_[:, 0], atol=2e-3)


def test_no_event_is_no_loss_and_no_crash():
    risk = torch.randn(5, requires_grad=True)
    loss = partial_likelihood(risk, torch.arange(1.0, 6.0), torch.zeros(5, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and (risk.grad == 0).all()


def test_pseudo_observations_are_the_jackknife():
    _, time, event = patients(60)
    found = pseudo_observations(time, event, 500.0)

    def risk(keep):
        return 1 - kaplan_meier(time[keep], event[keep], np.array([500.0]))[0]

    everyone = np.ones(60, bool)
    for row in range(60):
        others = everyone.copy()
        others[row] = False
        assert found[row] == pytest.approx(60 * risk(everyone) - 59 * risk(others), abs=1e-9)


def test_without_censoring_a_pseudo_observation_is_the_outcome():
    _, time, _ = patients(60)
    found = pseudo_observations(time, np.ones(60, int), 500.0)
    np.testing.assert_allclose(found, time <= 500, atol=1e-9)


def test_known_outcomes_weighed_have_the_share_of_kaplan_meier():
    _, time, event = patients(400)
    labels = derive_labels(time, event, 500.0)
    found = replace(targets(time, event), labels=torch.from_numpy(labels)[:, None])
    weights = known_weights(found, 0, 500.0, found)
    assert (weights[labels < 0] == 0).all() and (weights[labels >= 0] >= 1).all()
    share = 1 - kaplan_meier(time, event, np.array([500.0]))[0]
    assert (weights * (labels == 1)).sum() / len(labels) == pytest.approx(share, abs=1e-6)
    assert weights.sum() / len(labels) == pytest.approx(1, abs=1e-6)
    assert labels[labels >= 0].mean() > share + 0.05
    timeless = replace(found, time=torch.full_like(found.time, torch.nan))
    assert (known_weights(timeless, 0, 500.0, timeless) == (labels >= 0)).all()


def test_the_calibration_slope_finds_how_far_logits_were_stretched():
    rng = np.random.default_rng(0)
    z = rng.standard_normal(20_000)
    label = (rng.random(20_000) < 1 / (1 + np.exp(-z))).astype(int)
    label[:100] = -1
    for stretch, shift in ((1.0, 0.0), (2.0, 0.0), (1.0, 0.7)):
        found = calibration(1 / (1 + np.exp(-(stretch * z - shift))), label)
        assert found.calibration_slope == pytest.approx(1 / stretch, abs=0.05)
        if stretch == 1.0:
            assert found.calibration_intercept == pytest.approx(shift, abs=0.05)


def test_the_cumulative_incidence_is_that_of_scikit_survival():
    rng = np.random.default_rng(4)
    time = np.ceil(rng.exponential(500, 150) / 20) * 20
    cause = rng.choice([0, 1, 2], 150, p=[0.3, 0.4, 0.3])
    days, expected = cumulative_incidence_competing_risks(cause, time)
    np.testing.assert_allclose(aalen_johansen(time, cause, days), expected[1], atol=1e-12)
    # Kaplan-Meier takes those who died for patients who may still have the event.
    assert (1 - kaplan_meier(time, (cause == 1).astype(int), days))[-1] > expected[1][-1] + 0.05


def test_death_before_recurrence_is_the_competing_event():
    event = torch.tensor([[1, 0], [0, 0], [1, 1], [0, -1]], dtype=torch.int8)
    days = torch.tensor([[300.0, 300.0], [900.0, 900.0], [800.0, 200.0], [100.0, 100.0]])
    found = Targets(torch.zeros((4, 2), dtype=torch.int8), days, event)
    known, time, cause = causes(found, 1, 0)
    assert known.tolist() == [True, True, True, False]
    assert time.tolist() == [300, 900, 200] and cause.tolist() == [2, 0, 1]
    assert causes(found, 1, None)[2].tolist() == [0, 0, 1]
