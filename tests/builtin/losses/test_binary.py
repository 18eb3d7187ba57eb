import math
from dataclasses import replace

import pytest
import torch

from hcat_builtin.heads.cox import CoxHead
from hcat_builtin.losses.binary import BinaryCrossEntropy, FocalLoss
from hcat_core.testing.cohorts import random_cohort


@pytest.mark.parametrize("loss_class", [BinaryCrossEntropy, FocalLoss])
def test_an_unknown_outcome_has_no_gradient(loss_class, outputs):
    cohort = random_cohort(60)
    loss = loss_class(cohort.layout, head="survival")
    logits = torch.randn(60, requires_grad=True)
    loss(outputs(cohort, logits), cohort).backward()
    unknown = cohort.targets.labels[:, 0] == -1
    assert not logits.grad[unknown].any() and logits.grad[~unknown].all()


@pytest.mark.parametrize("loss_class", [BinaryCrossEntropy, FocalLoss])
def test_a_batch_without_a_known_outcome_is_zero_and_differentiable(loss_class, outputs):
    cohort = random_cohort(10)
    cohort.targets.labels.fill_(-1)
    logits = torch.randn(10, requires_grad=True)
    loss = loss_class(cohort.layout, head="survival")(outputs(cohort, logits), cohort)
    loss.backward()
    assert loss == 0


def test_bce_weighs_events_by_the_training_ratio(outputs):
    cohort = random_cohort(300)
    cohort.targets.labels[:, 0] = (torch.arange(300) % 4 == 0).to(torch.int8)
    head_outputs = outputs(cohort)
    assert head_outputs.heads["survival"].pos_weight == 3
    loss = BinaryCrossEntropy(cohort.layout, head="survival")(head_outputs, cohort)
    assert loss == pytest.approx(math.log(2) * (3 * 75 + 225) / 300, rel=1e-5)


def test_focal_is_bce_with_gamma_zero_and_otherwise_emphasises_wrong_predictions(outputs):
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


@pytest.mark.parametrize("loss_class", [BinaryCrossEntropy, FocalLoss])
def test_a_head_without_a_binary_logit_is_refused(loss_class, outputs):
    cohort = random_cohort(10)
    made = replace(outputs(cohort), heads={"survival": CoxHead(cohort.layout, "survival", 8)})
    with pytest.raises(ValueError, match='head "survival" gives no binary logit'):
        loss_class(cohort.layout, head="survival")(made, cohort)
