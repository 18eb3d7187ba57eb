"""Estimators for survival times, against scikit-survival and torchsurv."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis
from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator
from sksurv.util import Surv

from hcat_builtin.estimators.penalised_regression import CoxLikelihood, minimise
from hcat_core.cohort import Targets
from hcat_core.metrics import survival
from hcat_core.metrics.survival import (
    aalen_johansen,
    breslow,
    causes,
    cumulative_incidence,
    fine_days,
    kaplan_meier,
    partial_likelihood,
    pseudo_observations,
)


def test_kaplan_meier_equals_scikit_survival(patients):
    _, time, event = patients()
    days, survival = kaplan_meier_estimator(event == 1, time)
    np.testing.assert_allclose(kaplan_meier(time, event, days), survival, atol=1e-12)


def test_breslow_equals_the_baseline_of_scikit_survival(patients):
    x, time, event = patients()
    model = CoxPHSurvivalAnalysis(ties="breslow", n_iter=50).fit(x, Surv.from_arrays(event, time))
    step = model.cum_baseline_hazard_
    days = np.array([200.0, 600.0, 1200.0])
    ours = breslow(*(torch.from_numpy(a) for a in (x @ model.coef_, time, event == 1, days)))
    np.testing.assert_allclose(ours, [step(day) for day in days], rtol=1e-9)


def test_the_fast_partial_likelihood_equals_torchsurv(patients):
    x, time, event = patients()
    w = np.array([0.5, -0.3, 0.1])
    everyone = np.ones((len(x), 1), dtype=bool)
    value, along = CoxLikelihood(time, event == 1, everyone)((x @ w)[:, None])
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
    assert value[0] * event.sum() == pytest.approx(whole.item(), rel=1e-6)
    np.testing.assert_allclose((x.T @ along)[:, 0] * event.sum(), at.grad, rtol=1e-5)


def test_the_elastic_net_equals_scikit_survival(patients):
    x, time, event = patients()
    everyone = np.ones((len(x), 1), dtype=bool)
    penalty = np.array([0.05])
    ours = minimise(x, CoxLikelihood(time, event == 1, everyone), ridge=penalty, lasso=penalty)
    # Its penalty counts patients where ours counts events.
    theirs = CoxnetSurvivalAnalysis(
        l1_ratio=0.5, alphas=[0.1 * event.mean()], tol=1e-12, max_iter=100_000
    ).fit(x, Surv.from_arrays(event, time))
    np.testing.assert_allclose(ours[:, 0], theirs.coef_[:, 0], atol=2e-3)


def test_the_partial_likelihood_without_events_is_zero():
    risk = torch.randn(5, requires_grad=True)
    loss = partial_likelihood(risk, torch.arange(1.0, 6.0), torch.zeros(5, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and (risk.grad == 0).all()


@pytest.mark.parametrize("competing", [False, True])
def test_pseudo_observations_equal_the_jackknife(patients, competing):
    _, time, event = patients(60)
    cause = np.where((event == 0) & competing & (np.arange(60) % 2 == 0), 2, event)
    days = np.array([300.0, 500.0])
    found = pseudo_observations(time, cause, days)
    everyone = np.ones(60, bool)
    for row in range(60):
        others = everyone.copy()
        others[row] = False
        of_all, without = (aalen_johansen(time[keep], cause[keep], days) for keep in (everyone, others))
        np.testing.assert_allclose(found[row], 60 * of_all - 59 * without, atol=1e-9)


@given(st.integers(2, 25), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_pseudo_observations_equal_the_jackknife_with_ties_and_at_the_ends(n, rounded, together, seed):
    """Also on days before the first patient's, after the last one's, and with everyone dead by the end."""
    rng = np.random.default_rng(seed)
    time = np.ceil(rng.exponential(3, n)) if rounded else rng.exponential(3, n)
    cause = rng.integers(0, 3, n)
    days = np.sort(np.r_[time.min() / 2, rng.choice(time), time.max(), 2 * time.max()])
    with pytest.MonkeyPatch.context() as patch:
        if together:
            patch.setattr(survival, "MOST_ONE_BY_ONE", 0)
        found = pseudo_observations(time, cause, days)
    of_all = aalen_johansen(time, cause, days)
    for row in range(n):
        without = aalen_johansen(np.delete(time, row), np.delete(cause, row), days)
        np.testing.assert_allclose(found[row], n * of_all - (n - 1) * without, atol=1e-9)


def test_without_censoring_a_pseudo_observation_equals_the_outcome(patients):
    _, time, event = patients(60)
    found = pseudo_observations(time, 2 - event, np.array([500.0]))
    np.testing.assert_allclose(found[:, 0], (time <= 500) & (event == 1), atol=1e-9)


def test_aalen_johansen_equals_scikit_survival():
    rng = np.random.default_rng(4)
    time = np.ceil(rng.exponential(500, 150) / 20) * 20
    cause = rng.choice([0, 1, 2], 150, p=[0.3, 0.4, 0.3])
    days, expected = cumulative_incidence_competing_risks(cause, time)
    np.testing.assert_allclose(aalen_johansen(time, cause, days), expected[1], atol=1e-12)
    # Kaplan-Meier takes those who died for patients who may still have the event.
    assert (1 - kaplan_meier(time, (cause == 1).astype(int), days))[-1] > expected[1][-1] + 0.05


def test_causes_leave_out_patients_without_a_time():
    event = torch.tensor([[2], [0], [1], [-1]], dtype=torch.int8)
    days = torch.tensor([[300.0], [900.0], [200.0], [100.0]])
    known, time, cause = causes(Targets(torch.zeros((4, 1), dtype=torch.int8), days, event), 0)
    assert known.tolist() == [True, True, True, False]
    assert time.tolist() == [300, 900, 200] and cause.tolist() == [2, 0, 1]


def test_cause_specific_hazards_give_the_incidence_in_closed_form():
    """Constant rates a and b: F(t) = a / (a + b) (1 - exp(-(a + b) t))."""
    days = fine_days(tuple(np.linspace(100, 1200, 12)))
    a, b = torch.tensor([[0.001], [0.0003]]), torch.tensor([[0.0005], [0.002]])
    found = cumulative_incidence(a * days, b * days)
    np.testing.assert_allclose(found, a / (a + b) * (1 - torch.exp(-(a + b) * days)), rtol=1e-6)
    alone = cumulative_incidence(a * days, 0 * b * days)
    np.testing.assert_allclose(alone, 1 - torch.exp(-a * days), rtol=1e-6)
