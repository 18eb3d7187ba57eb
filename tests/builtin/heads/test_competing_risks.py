"""Heads for an event that another event can forestall, against the truth and Aalen and Johansen."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_builtin.heads.cox import CoxHead
from hcat_builtin.heads.discrete_hazard import DiscreteHazardHead
from hcat_builtin.losses.survival import CoxLoss, HazardLoss
from hcat_core.cohort import Targets
from hcat_core.interfaces import Fused, Imputation, Outputs
from hcat_core.layout import Layout, Task
from hcat_core.metrics.survival import aalen_johansen, causes, kaplan_meier
from hcat_core.testing.cohorts import random_cohort
from hcat_core.training.model import HcatModel

N = 8000
TASK = Task("recurrence", 730.0, "recurrence", competing="survival")
LAYOUT = Layout(random_cohort().layout.modalities, (Task("survival", 1826.0, "death"), TASK))
DAYS = np.array(TASK.curve_days)


def rates(x):
    """Rates a day of recurrence, which rises with x, and of death before it, which falls with x."""
    return 0.0005 * np.exp(0.6 * x), 0.0008 * np.exp(-0.5 * x)


def true_incidence(x, days):
    """P(recurrence by each of ``days``), (N, H), in closed form."""
    recurrence, death = (rate[:, None] for rate in rates(x))
    return recurrence / (recurrence + death) * (1 - np.exp(-(recurrence + death) * days))


@pytest.fixture(scope="module")
def patients():
    """x (N,) and targets: recurrence forestalled by death, and censoring by an independent time."""
    rng = np.random.default_rng(7)
    x = rng.uniform(-1.5, 1.5, N)
    recurrence, death = (rng.exponential(1 / rate) for rate in rates(x))
    censored = rng.uniform(100, 2500, N)
    until_death, until_recurrence = (
        np.minimum(death, censored),
        np.minimum.reduce([recurrence, death, censored]),
    )
    time = torch.from_numpy(np.stack([until_death, until_recurrence], axis=1)).float()
    cause = np.where(recurrence <= until_recurrence, 1, np.where(death <= censored, 2, 0))
    event = torch.from_numpy(np.stack([death <= censored, cause], axis=1)).to(torch.int8)
    return x, Targets(torch.full((N, 2), -1, dtype=torch.int8), time, event)


def cohort_of(targets):
    return replace(random_cohort(patients=len(targets.time)), layout=LAYOUT, targets=targets)


def estimate(targets, days, rows=slice(None)):
    _, time, cause = causes(targets[rows], 1)
    return aalen_johansen(time, cause, days)


def made(targets, layout=LAYOUT, width=1):
    torch.manual_seed(0)
    head = DiscreteHazardHead(layout, "recurrence", width, hidden=0, dropout=0.0).eval()
    head.prepare(cohort_of(targets))
    return head


def test_before_training_it_predicts_the_aalen_johansen_estimate_and_not_kaplan_meiers(patients):
    _, targets = patients
    head = made(targets)
    edges = tuple(head.edges.tolist())
    at_edges = head.predict(head.mlp.bias.unsqueeze(0), edges).event_probability[0]
    np.testing.assert_allclose(at_edges, estimate(targets, np.array(edges)), atol=1e-5)
    curve = head.predict(head.mlp.bias.unsqueeze(0), TASK.curve_days).event_probability[0]
    np.testing.assert_allclose(curve, estimate(targets, DAYS), atol=0.01)
    _, time, cause = causes(targets, 1)
    assert 1 - kaplan_meier(time, cause == 1, DAYS[-1:])[0] > curve[-1] + 0.05


def made_cox(targets):
    torch.manual_seed(0)
    head = CoxHead(LAYOUT, "recurrence", 1, hidden=0, dropout=0.0).eval()
    head.prepare(cohort_of(targets))
    return head


@pytest.mark.parametrize(("make", "loss_class"), [(made, HazardLoss), (made_cox, CoxLoss)])
def test_trained_it_predicts_the_true_incidence_of_patients_alike_in_both_risks(patients, make, loss_class):
    x, targets = patients
    head, cohort = make(targets), cohort_of(targets)
    pooled = torch.from_numpy(x).float().unsqueeze(1)
    fused = Fused(pooled, pooled.unsqueeze(1))
    loss = loss_class(LAYOUT, head="recurrence")
    optimiser = torch.optim.Adam(head.parameters(), lr=0.03)
    for _ in range(200):
        imputation = Imputation(cohort.emb, cohort.emb, cohort.measured)
        value = loss(Outputs({"recurrence": head(fused)}, {"recurrence": head}, fused, imputation), cohort)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    with torch.no_grad():
        head.fit_baseline(head(fused), cohort)
        predicted = head.predict(head(fused), TASK.curve_days).event_probability.numpy()
    assert (np.diff(predicted, axis=1) >= 0).all()
    truth = true_incidence(x, DAYS)
    assert np.abs(predicted - truth).mean() < 0.02
    for rows in (x < -0.7, (x > -0.3) & (x < 0.3), x > 0.7):
        np.testing.assert_allclose(predicted[rows].mean(axis=0), truth[rows].mean(axis=0), atol=0.025)
        np.testing.assert_allclose(
            predicted[rows].mean(axis=0), estimate(targets, DAYS, np.flatnonzero(rows)), atol=0.04
        )


def test_the_likelihood_is_that_of_surviving_each_bin_and_of_what_ended_the_follow_up(patients):
    _, targets = patients
    head = made(targets)
    first, second = head.edges[:2].tolist()
    within = first + 0.7 * (second - first)
    time = torch.tensor([[within, within]] * 3)
    event = torch.tensor([[0, 1], [1, 2], [0, 0]], dtype=torch.int8)  # recurrence, death, censored
    raw = torch.randn(3, 18, generator=torch.Generator().manual_seed(0))
    found = head.log_likelihood(raw, Targets(torch.full((3, 2), -1, dtype=torch.int8), time, event))
    odds = raw.reshape(3, 2, 9).exp()
    survives = 1 / (1 + odds.sum(dim=1))
    ends = odds * survives.unsqueeze(1)
    expected = survives[:, 0].log() + torch.stack([ends[0, 0, 1], ends[1, 1, 1], survives[2, 1]]).log()
    torch.testing.assert_close(found, expected)


def test_evidence_raises_the_hazard_of_the_event_alone(patients):
    _, targets = patients
    head, five = made(targets), cohort_of(targets[slice(0, 5)])
    pooled = torch.randn(5, 1, generator=torch.Generator().manual_seed(1))
    model = HcatModel(
        LAYOUT,
        None,
        lambda batch, imputation: Fused(pooled, pooled.unsqueeze(1)),
        {"recurrence": head},
        {"recurrence": "recurrence"},
    )
    contributions = torch.zeros(5, 3, 2)
    contributions[:, 0, 1] = evidence = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    before = model.fuse(five, None).raw["recurrence"]
    after = model.fuse(five, None, contributions).raw["recurrence"]
    torch.testing.assert_close(after[:, :9], before[:, :9] + evidence.unsqueeze(1))
    assert torch.equal(after[:, 9:], before[:, 9:])
    risk = head.predict(after - before + before[:1], (730.0,)).event_probability[:, 0]
    assert (risk.diff() > 0.01).all()
