"""``cox`` and ``discrete_hazard``, each with its loss."""

from dataclasses import replace

import pytest
import torch
from sklearn.metrics import roc_auc_score

from hcat_builtin.heads.binary import BinaryHead
from hcat_builtin.heads.cox import CoxHead
from hcat_builtin.heads.discrete_hazard import DiscreteHazardHead
from hcat_builtin.losses.survival import CoxLoss, HazardLoss
from hcat_core.errors import DataError
from hcat_core.interfaces import Fused, Imputation, Outputs, TimedHead
from hcat_core.metrics.survival import kaplan_meier
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate

COHORT = to_cohort(generate(SynthSpec(patients=900, widths=dict.fromkeys("abc", 6), missing_rate=0.0)))
LAYOUT = COHORT.layout
TASK = LAYOUT.tasks[0]


def outputs(head, raw):
    empty = torch.zeros((len(COHORT), 1))
    return Outputs(
        raw={"survival": raw},
        heads={"survival": head},
        fused=Fused(empty, empty.unsqueeze(1)),
        imputation=Imputation(COHORT.emb, COHORT.emb, COHORT.measured),
    )


def learn(head, loss, steps=300):
    """Fit a head to the first modality's cells, which the risk depends on."""
    torch.manual_seed(0)
    head.prepare(COHORT)
    x = COHORT.emb.flatten(1)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.01)
    head.eval()
    for _ in range(steps):
        raw = head(Fused(x, x.unsqueeze(1)))
        value = loss(outputs(head, raw), COHORT)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    with torch.no_grad():
        raw = head(Fused(x, x.unsqueeze(1)))
        head.fit_baseline(raw, COHORT)
        return head.predict(raw, TASK.curve_days).event_probability


HEADS = [
    (lambda: DiscreteHazardHead(LAYOUT, "survival", 18, hidden=0), HazardLoss(LAYOUT, head="survival")),
    (lambda: CoxHead(LAYOUT, "survival", 18, hidden=0), CoxLoss(LAYOUT, head="survival")),
]


@pytest.mark.parametrize(("make", "loss"), HEADS, ids=["hazard", "cox"])
def test_before_training_it_predicts_the_kaplan_meier_curve(make, loss):
    head = make()
    head.prepare(COHORT)
    raw = torch.zeros(900)
    if isinstance(head, DiscreteHazardHead):
        raw = torch.zeros((len(COHORT), 9)) + head.mlp[-1].bias
    predicted = head.predict(raw.detach(), TASK.curve_days).event_probability[0]
    expected = 1 - kaplan_meier(
        COHORT.targets.time[:, 0].double().numpy(),
        COHORT.targets.event[:, 0].numpy(),
        torch.tensor(TASK.curve_days).numpy(),
    )
    assert (predicted - torch.from_numpy(expected)).abs().max() < 0.02


@pytest.mark.parametrize(("make", "loss"), HEADS, ids=["hazard", "cox"])
def test_risk_rises_with_time_and_ranks_patients_as_their_true_risk_does(make, loss):
    curve = learn(make(), loss)
    assert (curve.diff(dim=1) >= 0).all() and ((curve >= 0) & (curve <= 1)).all()
    known = COHORT.targets.labels[:, 0] >= 0
    assert roc_auc_score(COHORT.targets.labels[known, 0], curve[known, -1]) > 0.7
    # On average over everyone it is as high as the Kaplan-Meier risk.
    expected = 1 - kaplan_meier(
        COHORT.targets.time[:, 0].double().numpy(),
        COHORT.targets.event[:, 0].numpy(),
        torch.tensor([TASK.horizon_days]).numpy(),
    )
    assert abs(float(curve[:, -1].mean()) - expected[0]) < 0.04


@pytest.mark.parametrize(("make", "loss"), HEADS, ids=["hazard", "cox"])
def test_patients_censored_before_the_horizon_have_a_gradient(make, loss):
    head = make()
    head.prepare(COHORT)
    raw = torch.zeros((len(COHORT), 9) if isinstance(head, DiscreteHazardHead) else 900, requires_grad=True)
    loss(outputs(head, raw), COHORT).backward()
    unknown = COHORT.targets.labels[:, 0] == -1
    with_gradient = raw.grad[unknown].reshape(int(unknown.sum()), -1).abs().sum(dim=1) > 0
    assert len(with_gradient) > 100 and with_gradient.float().mean() > 0.9


@pytest.mark.parametrize(("make", "loss"), HEADS, ids=["hazard", "cox"])
def test_a_task_without_times_is_an_error(make, loss):
    n = len(COHORT)
    targets = replace(
        COHORT.targets,
        time=torch.full((n, 2), float("nan")),
        event=torch.full((n, 2), -1, dtype=torch.int8),
    )
    with pytest.raises(DataError, match="needs times, and the task survival has none: give its time"):
        make().prepare(replace(COHORT, targets=targets))


@pytest.mark.parametrize(("make", "loss"), HEADS, ids=["hazard", "cox"])
def test_the_loss_of_a_survival_head_refuses_another_head(make, loss):
    binary = BinaryHead(LAYOUT, "survival", 4)
    with pytest.raises(ValueError, match="use a (cox|discrete_hazard) head"):
        loss(outputs(binary, torch.zeros(len(COHORT))), COHORT)


def test_survival_heads_are_timed_heads_and_a_binary_head_is_not():
    assert all(isinstance(make(), TimedHead) for make, _ in HEADS)
    assert not isinstance(BinaryHead(LAYOUT, "survival", 4), TimedHead)
