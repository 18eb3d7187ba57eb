"""Heads that correct the evidence: they start at it, and return to it."""

from dataclasses import replace

import pytest
import torch

from hcat_builtin.heads.binary import BinaryHead
from hcat_builtin.heads.cox import CoxHead
from hcat_builtin.heads.discrete_hazard import DiscreteHazardHead
from hcat_core.interfaces import EvidenceHead, Fused, ResidualHead
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate

COHORT = to_cohort(generate(SynthSpec(patients=300, widths={"clinical": 4, "spatial": 4})))
SURVIVAL, RECURRENCE = COHORT.layout.tasks
FORESTALLED = replace(
    COHORT,
    layout=replace(COHORT.layout, tasks=(SURVIVAL, replace(RECURRENCE, competing="survival"))),
)
HEADS = {
    "binary": lambda layout, task: BinaryHead(layout, task, 8, balance=False),
    "balanced": lambda layout, task: BinaryHead(layout, task, 8),
    "cox": lambda layout, task: CoxHead(layout, task, 8),
    "discrete_hazard": lambda layout, task: DiscreteHazardHead(layout, task, 8),
    "two causes": lambda layout, task: DiscreteHazardHead(FORESTALLED.layout, "recurrence", 8),
}


def fused(seed):
    pooled = torch.randn(len(COHORT), 8, generator=torch.Generator().manual_seed(seed))
    return Fused(pooled, pooled.unsqueeze(1))


@pytest.fixture(params=HEADS)
def head(request):
    torch.manual_seed(0)
    made = HEADS[request.param](COHORT.layout, COHORT.layout.task_names[0]).eval()
    made.prepare(COHORT)
    return made


def evidence(scale=1.0):
    return scale * torch.randn(len(COHORT), generator=torch.Generator().manual_seed(5))


def test_it_starts_at_what_all_patients_share(head):
    assert isinstance(head, ResidualHead)
    head.start_at_zero(evidence(), COHORT.targets)
    raw = head(fused(0))
    assert torch.equal(raw, head(fused(1)))
    assert (raw == raw[:1]).all()


def test_a_weight_of_zero_returns_to_the_start_and_one_changes_nothing(head):
    head.start_at_zero(evidence(), COHORT.targets)
    start = head(fused(0)).detach()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    trained = head(fused(0)).detach()
    head.scale_residual(1.0)
    assert torch.allclose(head(fused(0)), trained, atol=1e-5)
    head.scale_residual(0.5)
    assert torch.allclose(head(fused(0)), (start + trained) / 2, atol=1e-5)
    head.scale_residual(0.0)
    assert torch.allclose(head(fused(0)), start, atol=1e-5)


@pytest.mark.parametrize("name", ["binary", "discrete_hazard", "two causes"])
def test_the_start_is_as_likely_as_a_common_shift_can_make_it(name):
    """Evidence that varies raises the mean risk: what all patients share has to come down for it."""
    made = HEADS[name](COHORT.layout, COHORT.layout.task_names[0]).eval()
    made.prepare(COHORT)
    added = evidence(scale=2.0)
    made.start_at_zero(added, COHORT.targets)
    raw = made(fused(0)).detach()

    def likelihood(shift):
        if isinstance(made, EvidenceHead):
            shifted = made.add_evidence(raw, added + shift)
        else:
            shifted = raw + shift + added
        return float(made.log_likelihood(shifted, COHORT.targets).nansum())

    assert likelihood(0.0) > max(likelihood(-0.2), likelihood(0.2))


def test_unknown_outcomes_have_no_likelihood(head):
    column = head.column
    raw = head(fused(0)).detach()
    terms = head.log_likelihood(raw, COHORT.targets)
    if isinstance(head, BinaryHead):
        known = COHORT.targets.labels[:, column] >= 0
    else:
        known = (COHORT.targets.event[:, column] >= 0) & (COHORT.targets.time[:, column] > 0)
    assert torch.equal(terms.isfinite(), known)
    assert (terms[known] <= 0).all()
