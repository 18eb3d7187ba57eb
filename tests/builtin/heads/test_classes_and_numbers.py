"""Heads of classes and of numbers, and their losses: where they start, and what they fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_builtin.heads.continuous import ContinuousHead
from hcat_builtin.heads.multiclass import MulticlassHead
from hcat_builtin.losses.classes_and_numbers import CrossEntropy, GaussianLoss, HuberLoss
from hcat_core.errors import DataError
from hcat_core.interfaces import Fused, Outputs, ResidualHead
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.synth.other_outcomes import to_other_cohort
from hcat_core.training.model import add_evidence

COHORT, _ = to_other_cohort(generate(SynthSpec(patients=300, widths={"a": 4, "b": 4}, seed=3)))
(FAMILY,) = COHORT.layout.families
(SCORE,) = COHORT.layout.numbers
SHARE = (COHORT.targets.labels[:, list(FAMILY)] == 1).float().mean(dim=0)
VALUES = COHORT.targets.values[:, SCORE]


def fused(seed=0):
    pooled = torch.randn(len(COHORT), 8, generator=torch.Generator().manual_seed(seed))
    return Fused(pooled, pooled.unsqueeze(1))


def prepared(kind, **keys):
    torch.manual_seed(0)
    head = kind(COHORT.layout, "score" if kind is ContinuousHead else "subtype", 8, **keys).eval()
    head.prepare(COHORT)
    return head


def outputs(head, raw):
    return Outputs({"h": raw}, {"h": head}, fused(), None)


@pytest.mark.parametrize("balance", [False, True])
def test_with_nothing_learned_every_class_has_its_share_of_the_training_patients(balance):
    head = prepared(MulticlassHead, balance=balance)
    head.mlp.last.weight.data.zero_()
    p = head.predict(head(fused()), ()).event_probability
    assert p.sum(dim=1).tolist() == pytest.approx([1.0] * 300, abs=1e-6)
    assert p[0].tolist() == pytest.approx(SHARE.tolist(), abs=0.01)


def test_a_balanced_head_learns_as_if_all_classes_were_as_frequent():
    head = prepared(MulticlassHead, balance=True)
    raw = torch.zeros((300, 3), requires_grad=True)
    CrossEntropy(COHORT.layout, head="h")(outputs(head, raw), COHORT).backward()
    pulls = raw.grad.sum(dim=0)  # equal logits are right where all count the same
    assert pulls.tolist() == pytest.approx([0.0] * 3, abs=0.01)
    raw.grad = None
    CrossEntropy(COHORT.layout, head="h")(outputs(prepared(MulticlassHead), raw), COHORT).backward()
    assert raw.grad.sum(dim=0).abs().max() > 0.05


def test_evidence_of_classes_is_added_to_their_logits_and_a_head_starts_at_it():
    head = prepared(MulticlassHead)
    assert isinstance(head, ResidualHead)
    evidence = torch.randn((300, 3), generator=torch.Generator().manual_seed(4))
    head.start_at_zero(evidence, COHORT.targets)
    raw = head(fused())
    assert torch.equal(raw, raw[:1].expand_as(raw))
    added = add_evidence(head, raw, evidence)
    assert torch.allclose(added - raw, evidence)
    mean = head.predict(added, ()).event_probability.mean(dim=0)
    assert mean.tolist() == pytest.approx(SHARE.tolist(), abs=0.02)  # the most likely intercepts


def test_evidence_of_a_number_is_in_its_unit_and_what_is_left_is_its_variance():
    head = prepared(ContinuousHead)
    evidence = (VALUES - VALUES.mean()) * 0.5
    head.start_at_zero(evidence, COHORT.targets)
    found = head.predict(add_evidence(head, head(fused()), evidence), ())
    assert torch.allclose(found.value[:, 0], VALUES.mean() + evidence, atol=1e-2)
    half = (found.interval[0, 0, 1] - found.interval[0, 0, 0]).detach() / 2
    assert float(half) == pytest.approx(1.645 * 0.5 * float(VALUES.std()), rel=0.02)
    assert found.event_probability.isnan().all()


def test_a_weight_of_zero_returns_both_heads_to_their_start():
    for kind in (MulticlassHead, ContinuousHead):
        head = prepared(kind)
        columns = 3 if kind is MulticlassHead else None
        head.start_at_zero(torch.zeros((300, columns) if columns else 300), COHORT.targets)
        start = head(fused()).detach()
        with torch.no_grad():
            for parameter in head.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
        head.scale_residual(1.0)
        assert (head(fused()) - start).abs().max() > 0.1
        head.scale_residual(0.0)
        assert torch.allclose(head(fused()), start, atol=1e-6)


def test_the_log_likelihood_is_that_of_the_outcome_and_unknown_where_it_is():
    labels, values = COHORT.targets.labels.clone(), COHORT.targets.values.clone()
    labels[0, list(FAMILY)], values[0, SCORE] = -1, float("nan")
    targets = replace(COHORT.targets, labels=labels, values=values)
    classes, number = prepared(MulticlassHead), prepared(ContinuousHead)
    of_class = classes.log_likelihood(classes(fused()), targets)
    p = classes.predict(classes(fused()), ()).event_probability
    place = labels[1:, list(FAMILY)].argmax(dim=1)
    assert of_class[0].isnan()
    assert torch.allclose(of_class[1:], p[1:][torch.arange(299), place].log(), atol=1e-5)
    raw = number(fused())
    of_value = number.log_likelihood(raw, targets)
    normal = torch.distributions.Normal(raw[:, 0], (0.5 * raw[:, 1]).exp())
    known = torch.nan_to_num(number.standardised(targets))
    expected = normal.log_prob(known) + 0.5 * np.log(2 * np.pi)
    assert of_value[0].isnan() and torch.allclose(of_value[1:], expected[1:], atol=1e-5)


@pytest.mark.parametrize("loss", [GaussianLoss, HuberLoss])
def test_losses_of_numbers_are_least_where_the_values_are(loss):
    head = prepared(ContinuousHead)
    right = torch.stack([head.standardised(COHORT.targets), torch.zeros(300)], dim=1)
    made = loss(COHORT.layout, head="h")
    at_truth = made(outputs(head, right), COHORT)
    for shift in (-0.5, 0.5):
        assert made(outputs(head, right + torch.tensor([shift, 0.0])), COHORT) > at_truth


def test_an_outlier_counts_less_in_the_huber_loss():
    head = prepared(ContinuousHead)
    raw = torch.stack([head.standardised(COHORT.targets), torch.zeros(300)], dim=1)
    raw[0, 0] += 100
    raw.requires_grad_()
    HuberLoss(COHORT.layout, head="h")(outputs(head, raw), COHORT).backward()
    assert raw.grad[0, 0].abs() * 300 == pytest.approx(1.5)


def test_values_that_do_not_differ_are_an_error_in_words():
    same = replace(COHORT.targets, values=torch.full_like(COHORT.targets.values, 3.0))
    head = ContinuousHead(COHORT.layout, "score", 8)
    with pytest.raises(DataError, match="score: the training patients have 300 values that do not differ"):
        head.prepare(replace(COHORT, targets=same))
