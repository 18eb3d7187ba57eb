"""Fit a model's evidence, and start heads and gates where it makes known outcomes the most likely."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces import Estimator, FitContext, Fused, GatedFusion, ResidualHead
from hcat_core.layout import Outcome
from hcat_core.training.model import HcatModel, add_evidence, evidence_of

SPREAD = 1.5  # prior standard deviation of what all gates share, and of the evidence's log factor
OWN_SPREAD = 0.5  # prior standard deviation of each modality's parameter around what all share
ROUNDS = 4  # of gates and factors, then the heads' shared outputs
QUALITIES = 201  # from 0 to 1, at which gates are looked at


@dataclass(frozen=True)
class _Term:
    """One outcome's likelihood: its head, what the head gives all patients, and the patients who count."""

    head: ResidualHead
    outcome: Outcome
    rows: Tensor
    targets: Targets
    start: Tensor


def fit_evidence(model: HcatModel, training: Cohort, context: FitContext) -> Tensor:
    """Fit the model's evidence on the blocks that are evidence.

    Args:
        model: with evidence, which is fitted in place.
        training: standardised patients with targets.
        context: seed.

    Returns:
        (N, M, T) contributions to each patient, by models fitted without the patient.
    """
    usable = model.evidence_use.usable(training)
    assert isinstance(model.evidence, Estimator)
    model.evidence.fit(usable, usable[slice(0, 0)], context)
    return model.evidence.out_of_fold_contributions()


def start_at_evidence(model: HcatModel, training: Cohort, context: FitContext) -> Tensor:
    """Fit the evidence; start heads at it, and gates where it predicts best.

    Gates weigh each modality's contribution by the quality of the block. The contributions that they are
    fitted on come from models fitted without the patient, so that a gate which closes on blocks of noise,
    or on a modality that says nothing, raises the likelihood. With the network at 0, the gates, a factor
    per task and the heads' shared outputs are the mode of a posterior. Its prior is normal, around the
    gates' parameters as they were and around a factor of 1; what low quality means is similar in all
    modalities, so that a modality that says little closes with the others. Blocks of a quality at which
    the gate is below one half are then no evidence, if it predicts better when it is fitted again without
    them: a modality that says nothing by itself may say something together with another.

    Args:
        model: with evidence and prepared heads; changed in place.
        training: standardised patients with targets.
        context: seed.

    Returns:
        (N, M, T) contributions, as of ``fit_evidence``.
    """
    use = model.evidence_use
    contributions = fit_evidence(model, training, context)
    fusion = model.fusion
    if not isinstance(fusion, GatedFusion) or not _start_heads(model, training, contributions):
        return contributions
    _find_mode(model, list(fusion.gate_parameters()), training, contributions)
    first, factor, everything = model.evidence, use.factor.clone(), use.usable(training).present
    use.least_quality.copy_(_least_quality(fusion, len(use.least_quality)))
    if bool((use.usable(training).present == everything).all()):
        return contributions
    likelihood = _log_likelihood(model, training, contributions)
    model.evidence = copy.deepcopy(first)
    again = fit_evidence(model, training, context)
    use.factor.fill_(1.0)
    _find_mode(model, [], training, again)
    if _log_likelihood(model, training, again) > likelihood:
        return again
    model.evidence = first
    use.least_quality.zero_()
    use.factor.copy_(factor)
    _start_heads(model, training, contributions)
    return contributions


def _find_mode(
    model: HcatModel, gates: Sequence[nn.Parameter], training: Cohort, contributions: Tensor
) -> None:
    """Move gates and factors, and the heads' shared outputs, in turn to the mode of their posterior."""
    priors = [parameter.detach().clone() for parameter in gates]
    for _ in range(ROUNDS):
        terms = _start_heads(model, training, contributions)
        _fit_gates(model, list(zip(gates, priors, strict=True)), terms, training, contributions)
    _start_heads(model, training, contributions)


@torch.no_grad()
def _start_heads(model: HcatModel, training: Cohort, contributions: Tensor) -> list[_Term]:
    """Start each head that can at the evidence; the terms of those that predict a task."""
    targets, terms = training.targets, []
    assert targets is not None
    evidence = model.evidence_use.total(_gates(model.fusion, training.quality) * contributions)
    nothing = torch.zeros((len(training), model.fusion.width))
    for name, head in model.heads.items():
        if not isinstance(head, ResidualHead):
            continue
        outcome = model.layout.outcome(model.tasks[name])
        own = evidence_of(outcome, evidence)
        head.start_at_zero(own, targets)
        start = head(Fused(nothing, nothing.unsqueeze(1)))
        likelihood = head.log_likelihood(add_evidence(head, start, own), targets)
        rows = likelihood.isfinite().nonzero().squeeze(1)
        if name in model.predicting_heads() and len(rows):
            terms.append(_Term(head, outcome, rows, targets[rows], start[rows]))
    return terms


@torch.no_grad()
def _log_likelihood(model: HcatModel, training: Cohort, contributions: Tensor) -> float:
    """Of all known outcomes, with heads started at contributions (N, M, T) behind their gates."""
    evidence = model.evidence_use.total(_gates(model.fusion, training.quality) * contributions)
    total = 0.0
    for term in _start_heads(model, training, contributions):
        raw = add_evidence(term.head, term.start, evidence_of(term.outcome, evidence[term.rows]))
        total += float(term.head.log_likelihood(raw, term.targets).sum())
    return total


def _fit_gates(
    model: HcatModel,
    gates: Sequence[tuple[nn.Parameter, Tensor]],
    terms: Sequence[_Term],
    training: Cohort,
    contributions: Tensor,
) -> None:
    """Move gates, each with its prior mean, and factors to their mode; heads stay as they are."""
    use, fusion = model.evidence_use, model.fusion
    log_factor = use.factor.log().requires_grad_(True)
    optimiser = torch.optim.LBFGS(
        [*(gate for gate, _ in gates), log_factor], max_iter=60, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        evidence = log_factor.exp() * (_gates(fusion, training.quality) * contributions).sum(dim=1)
        total = 0.5 * (log_factor / SPREAD).square().sum()
        for parameter, at in gates:
            shared = (parameter - at).mean()
            own = parameter - at - shared
            total = total + 0.5 * ((shared / SPREAD).square() + (own / OWN_SPREAD).square().sum())
        for term in terms:
            raw = add_evidence(term.head, term.start, evidence_of(term.outcome, evidence[term.rows]))
            total = total - term.head.log_likelihood(raw, term.targets).sum()
        total.backward()
        return total

    with torch.enable_grad():
        optimiser.step(loss)
    optimiser.zero_grad()
    use.factor.copy_(log_factor.detach().exp())


def _gates(fusion: object, quality: Tensor) -> Tensor:
    """(N, M, 1) gates of blocks of a quality (N, M), as if all were measured; 1 where there are none."""
    gates = fusion.quality_gates(quality) if isinstance(fusion, GatedFusion) else torch.ones_like(quality)
    return gates.unsqueeze(2)


@torch.no_grad()
def _least_quality(fusion: GatedFusion, modalities: int) -> Tensor:
    """(M,) the quality from which the gate of a modality is at least one half; at most 1."""
    quality = torch.linspace(0, 1, QUALITIES).unsqueeze(1).expand(-1, modalities)
    closed = fusion.quality_gates(quality) < 0.5
    return torch.where(closed, quality + quality[1], 0.0).amax(dim=0).clamp(max=1)
