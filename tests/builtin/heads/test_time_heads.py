import pytest
import torch

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
def test_a_head_that_knows_nothing_yet_predicts_the_kaplan_meier_curve(make, loss):
    head = make()
    head.prepare(COHORT)
    raw = torch.zeros(900)
    if isinstance(head, DiscreteHazardHead):
        raw = torch.zeros((len(COHORT), 9)) + head.mlp[-1].bias
    found = head.predict(raw.detach(), TASK.curve_days).event_probability[0]
    expected = 1 - kaplan_meier(
        COHORT.targets.time[:, 0].double().numpy(),
        COHORT.targets.event[:, 0].numpy(),
        torch.tensor(TASK.curve_days).numpy(),
    )
    assert (found - torch.from_numpy(expected)).abs().max() < 0.02


@pytest.mark.parametrize(("make", "loss"), HEADS, ids=["hazard", "cox"])
def test_risk_rises_with_time_and_ranks_patients_as_their_true_risk_does(make, loss):
    from sklearn.metrics import roc_auc_score

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
def test_patients_censored_before_the_horizon_teach(make, loss):
    head = make()
    head.prepare(COHORT)
    raw = torch.zeros((len(COHORT), 9) if hasattr(head, "edges") else 900, requires_grad=True)
    loss(outputs(head, raw), COHORT).backward()
    unknown = COHORT.targets.labels[:, 0] == -1
    taught = raw.grad[unknown].reshape(int(unknown.sum()), -1).abs().sum(dim=1) > 0
    assert len(taught) > 100 and taught.float().mean() > 0.9


def test_the_hazard_likelihood_is_that_of_the_intervals_by_hand():
    head = DiscreteHazardHead(LAYOUT, "survival", 18, bins=2, hidden=0)
    head.edges.copy_(torch.tensor([100.0, 200.0]))
    from dataclasses import replace

    from hcat_core.cohort import Targets

    time = torch.tensor([50.0, 150.0, 120.0, 180.0, 500.0])
    event = torch.tensor([1, 1, 0, 0, 0], dtype=torch.int8)
    four = replace(
        COHORT[slice(0, 5)],
        targets=Targets(
            torch.zeros((5, 2), dtype=torch.int8),
            time.unsqueeze(1).expand(5, 2),
            event.unsqueeze(1).expand(5, 2),
        ),
    )
    raw = torch.tensor([[0.3, -0.2, 0.1]]).expand(5, 3)
    h = raw[0].sigmoid()
    likelihood = torch.stack(
        [
            h[0],  # event in the first bin
            (1 - h[0]) * h[1],  # in the second
            1 - h[0],  # lost before the middle of the second: seen through the first
            (1 - h[0]) * (1 - h[1]),  # lost after its middle: seen through the second too
            (1 - h[0]) * (1 - h[1]),  # lost in the bin without an end
        ]
    )
    found = HazardLoss(LAYOUT, head="survival")(outputs(head, raw), four)
    assert found.item() == pytest.approx(-likelihood.log().mean().item(), abs=1e-6)


def test_heads_say_what_they_need():
    assert isinstance(CoxHead(LAYOUT, "survival", 4), TimedHead)
    assert not isinstance(BinaryHead(LAYOUT, "survival", 4), TimedHead)
    with pytest.raises(ValueError, match="use a cox head"):
        CoxLoss(LAYOUT, head="survival")(
            outputs(BinaryHead(LAYOUT, "survival", 4), torch.zeros(900)), COHORT
        )
    from dataclasses import replace

    labels_only = replace(
        COHORT,
        targets=replace(
            COHORT.targets,
            time=torch.full((900, 2), float("nan")),
            event=torch.full((900, 2), -1, dtype=torch.int8),
        ),
    )
    for make, _ in HEADS:
        with pytest.raises(DataError, match="needs times, and the task survival has none: give its time"):
            make().prepare(labels_only)
