"""Losses and the binary head: unknown outcomes teach nothing, views differ, probabilities are honest."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_builtin.heads.binary import BinaryHead
from hcat_builtin.losses.binary import BinaryCrossEntropy, FocalLoss
from hcat_builtin.losses.imputer_losses import ImputationLoss, KLDivergence
from hcat_builtin.losses.infonce import InfoNCE
from hcat_core.errors import DataError
from hcat_core.interfaces import Average, Fused, Imputation, Outputs
from hcat_core.testing.cohorts import random_cohort


def outputs(cohort, logits=None, first=None, second=None, losses=None):
    head = BinaryHead(cohort.layout, "survival", 8)
    head.prepare(cohort)
    n = len(cohort)
    return Outputs(
        raw={"survival": torch.zeros(n) if logits is None else logits},
        heads={"survival": head},
        fused=Fused(torch.zeros(n, 8), torch.zeros(n, 3, 8), first),
        imputation=Imputation(cohort.emb, cohort.emb * 0, ~cohort.measured, losses or {}),
        second_view=None if second is None else Fused(torch.zeros(n, 8), torch.zeros(n, 3, 8), second),
    )


@pytest.mark.parametrize("loss_class", [BinaryCrossEntropy, FocalLoss])
def test_an_unknown_outcome_teaches_nothing(loss_class):
    cohort = random_cohort(60)
    loss = loss_class(cohort.layout, head="survival")
    logits = torch.randn(60, requires_grad=True)
    loss(outputs(cohort, logits), cohort).backward()
    unknown = cohort.targets.labels[:, 0] == -1
    assert not logits.grad[unknown].any() and logits.grad[~unknown].all()


@pytest.mark.parametrize("loss_class", [BinaryCrossEntropy, FocalLoss])
def test_a_batch_without_a_known_outcome_is_zero_and_differentiable(loss_class):
    cohort = random_cohort(10)
    cohort.targets.labels.fill_(-1)
    logits = torch.randn(10, requires_grad=True)
    loss = loss_class(cohort.layout, head="survival")(outputs(cohort, logits), cohort)
    loss.backward()
    assert loss == 0


def test_bce_weighs_events_by_the_training_ratio():
    cohort = random_cohort(300)
    cohort.targets.labels[:, 0] = (torch.arange(300) % 4 == 0).to(torch.int8)
    head_outputs = outputs(cohort)
    assert head_outputs.heads["survival"].pos_weight == 3
    loss = BinaryCrossEntropy(cohort.layout, head="survival")(head_outputs, cohort)
    assert loss == pytest.approx(math.log(2) * (3 * 75 + 225) / 300, rel=1e-5)


def test_probabilities_are_corrected_for_the_class_weight():
    cohort = random_cohort(4000)
    torch.manual_seed(0)
    cohort.targets.labels[:, 0] = (torch.rand(4000) < 0.1).to(torch.int8)
    made = outputs(cohort)
    head = made.heads["survival"]
    # The constant logit that minimises the weighted loss predicts the observed rate.
    logit = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([logit], max_iter=50)
    loss = BinaryCrossEntropy(cohort.layout, head="survival")

    def closure():
        optimiser.zero_grad()
        value = loss(outputs(cohort, logit.expand(4000)), cohort)
        value.backward()
        return value

    optimiser.step(closure)
    rate = (cohort.targets.labels[:, 0] == 1).float().mean()
    predicted = head.predict(logit.detach(), (1826.0,)).event_probability
    assert predicted.item() == pytest.approx(rate.item(), abs=0.003)


def test_focal_with_gamma_zero_is_bce_and_dwells_on_the_wrong_ones_otherwise():
    cohort = random_cohort(60)
    logits = torch.randn(60) * 2
    made = outputs(cohort, logits)
    bce = BinaryCrossEntropy(cohort.layout, head="survival")(made, cohort)
    assert FocalLoss(cohort.layout, head="survival", gamma=0.0)(made, cohort) == pytest.approx(
        bce.item(), rel=1e-5
    )
    right = outputs(cohort, (cohort.targets.labels[:, 0] * 2 - 1) * 4.0)
    wrong = outputs(cohort, (cohort.targets.labels[:, 0] * 2 - 1) * -4.0)
    focal = FocalLoss(cohort.layout, head="survival")
    bce_loss = BinaryCrossEntropy(cohort.layout, head="survival")
    ratio = focal(wrong, cohort) / focal(right, cohort)
    assert ratio > 10 * bce_loss(wrong, cohort) / bce_loss(right, cohort)


def test_trap_5_contrast_needs_a_second_view_and_rewards_agreement_with_it():
    cohort = random_cohort(16)
    loss = InfoNCE(cohort.layout)
    assert loss.needs_second_view
    with pytest.raises(ValueError, match="two views"):
        loss(outputs(cohort, first=torch.eye(16)), cohort)
    agree = loss(outputs(cohort, first=torch.eye(16), second=torch.eye(16)), cohort)
    shuffled = torch.eye(16).roll(1, dims=0)
    disagree = loss(outputs(cohort, first=torch.eye(16), second=shuffled), cohort)
    chance = loss(outputs(cohort, first=torch.zeros(16, 4), second=torch.zeros(16, 4)), cohort)
    assert agree < 0.01 < chance < disagree
    assert chance == pytest.approx(math.log(16), rel=1e-4)


def test_a_batch_of_one_has_nobody_to_contrast_with():
    cohort = random_cohort(1)
    one = torch.ones(1, 4)
    assert InfoNCE(cohort.layout)(outputs(cohort, first=one, second=one), cohort) == 0


def test_imputer_terms_are_handed_through():
    cohort = random_cohort(4)
    means = {"kl": 2.0, "hidden": 3.0, "step_1": 0.5}
    terms = {name: Average(torch.tensor(mean), torch.tensor(1)) for name, mean in means.items()}
    made = outputs(cohort, losses=terms)
    assert KLDivergence(cohort.layout)(made, cohort) == 2
    assert ImputationLoss(cohort.layout)(made, cohort) == 3.5
    assert KLDivergence(cohort.layout)(outputs(cohort), cohort) == 0


def test_a_binary_head_knows_one_horizon():
    head = BinaryHead(random_cohort(4).layout, "recurrence", 8)
    with pytest.raises(ValueError, match="730 days only"):
        head.predict(torch.zeros(2), (1826.0,))


def test_inverse_probability_weights_undo_informative_gaps_in_the_labels():
    """Labels are known of everyone with an early event, and only of those event-free who stayed."""
    rng = np.random.default_rng(0)
    n, horizon = 4000, 1826.0
    event_time, lost = rng.exponential(3000, n), rng.exponential(2500, n)
    time = np.minimum(event_time, lost)
    label = np.where(event_time <= np.minimum(lost, horizon), 1, np.where(time >= horizon, 0, -1))
    cohort = random_cohort(n)
    cohort.targets.labels[:, 0] = torch.from_numpy(label).to(torch.int8)
    cohort.targets.time[:, 0] = torch.from_numpy(time).float()
    cohort.targets.event[:, 0] = torch.from_numpy(event_time <= lost).to(torch.int8)
    truth = 1 - math.exp(-horizon / 3000)

    def rate(ipcw, loss_class=BinaryCrossEntropy):
        head = BinaryHead(cohort.layout, "survival", 4, balance=False, ipcw=ipcw)
        head.prepare(cohort)
        logit = torch.zeros(1, requires_grad=True)
        optimiser = torch.optim.LBFGS([logit], max_iter=50)
        loss = loss_class(cohort.layout, head="survival")

        def closure():
            optimiser.zero_grad()
            made = replace(outputs(cohort, logit.expand(n)), heads={"survival": head})
            value = loss(made, cohort)
            value.backward()
            return value

        optimiser.step(closure)
        return torch.sigmoid(logit).item()

    assert rate(False) > truth + 0.1
    assert rate(True) == pytest.approx(truth, abs=0.03)


def test_inverse_probability_weights_need_times():
    cohort = random_cohort(20)
    cohort.targets.event.fill_(-1)
    with pytest.raises(DataError, match="ipcw = true needs times"):
        BinaryHead(cohort.layout, "survival", 4, ipcw=True).prepare(cohort)
