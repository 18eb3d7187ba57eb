"""Checks that something trains a component: without it, one passes every other check and learns nothing."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hcat_core.imputation.declared_training import DeclaringImputer
from hcat_core.interfaces import HeadCheckingLoss, HeadSpecificLoss, Imputation, Outputs
from hcat_core.recipe.component_tables import construct
from hcat_core.recipe.parameters import required_parameters
from hcat_core.registry.component import EVERY_HEAD, Component
from hcat_core.testing.harness import TRAIN, Check, Subject, random_fused, require, tested_outcome

HEAD = "head"  # its name among the outputs that a loss is given
PATIENTS = slice(0, 64)


def something_trains_it(subject: Subject) -> None:
    """Parameters that learn are trained by ``fit``, by a loss, or by a gradient that the class declares."""
    fresh: Any = subject.make()
    if not isinstance(fresh, nn.Module):
        return
    before = {name: p.detach() for name, p in fresh.named_parameters() if p.requires_grad}
    if not before:
        return
    after = dict(subject.fitted.named_parameters())
    if any(name not in after or not torch.equal(p, after[name]) for name, p in before.items()):
        return
    imputer: Any = copy.deepcopy(subject.fitted).train()
    found: Imputation = imputer(subject.train[PATIENTS].without_targets())
    terms = [term.value for term in found.losses.values()]
    if isinstance(fresh, DeclaringImputer) and fresh.declare_training(subject.table).jointly:
        terms.append(found.emb.sum())  # what the gradient of the prediction comes through
    require(
        _reach(terms, imputer),
        f"nothing trains its parameters, such as {min(before)}: fit leaves them as they are, and no entry "
        "of Imputation.losses depends on them. Train them in fit (pretrain, in "
        "hcat_core.imputation.pretraining, does), or return losses in training mode, which the losses "
        "imputation and kl weigh. One that learns by training.imputer_gradient alone needs the class "
        "method declare_training",
    )


def a_loss_trains_it(subject: Subject) -> None:
    """At least one of the installed losses takes the head, and gives it a gradient."""
    reasons = []
    for component in (entry.component for entry in subject.catalog.registries["loss"]):
        if HEAD not in required_parameters(component).names and EVERY_HEAD not in component.tags:
            continue
        reason = _why_not(subject, component)
        if not reason:
            return
        reasons.append(f"{component.name} {reason}")
    require(
        False,
        f"no loss can train it ({'; '.join(reasons)}). Give it what one of them needs: for bce and focal, "
        "one logit per patient and the attributes column and pos_weight. Or add a loss to the package "
        f'(hcat new-plugin NAME --kind loss) with the class attribute made_for = "{subject.name}"',
    )


def _why_not(subject: Subject, component: Component) -> str:
    """Why a loss cannot train the head; empty where it can."""
    train = subject.mixed[TRAIN]
    layout, batch = train.layout, train[PATIENTS]
    fused = random_fused(len(batch))
    head: Any = subject.make(layout, tested_outcome(subject.kinds), fused.pooled.shape[1])
    head.prepare(train)
    try:
        loss_class = component.load()
        if isinstance(loss_class, HeadSpecificLoss) and loss_class.made_for != subject.name:
            return f"trains heads with use = {loss_class.made_for}"
        table = {"use": component.name, **({HEAD: HEAD} if EVERY_HEAD not in component.tags else {})}
        loss: Any = construct(subject.catalog, "loss", table, (layout,), Path.cwd())
        if isinstance(loss, HeadCheckingLoss) and (reason := loss.refuse_head(head)):
            return reason
        nothing = Imputation(batch.emb, torch.zeros_like(batch.emb), torch.zeros_like(batch.measured))
        outputs = Outputs(
            {HEAD: head(fused)}, {HEAD: head}, fused, nothing, random_fused(len(batch), seed=1)
        )
        trained = (
            head if isinstance(head, nn.Module) and any(True for _ in head.parameters()) else fused.pooled
        )
        return "" if _reach([loss(outputs, batch)], trained) else "gives it no gradient"
    except Exception as error:  # a third party's loss may raise anything for a head that it does not know
        return f"raises {type(error).__name__} ({error})"


def _reach(terms: Sequence[Tensor], trained: nn.Module | Tensor) -> bool:
    """Whether the gradient of a sum is other than 0 for any of the parameters, or for a tensor."""
    total = sum((term for term in terms if term.requires_grad), start=torch.zeros(()))
    if not total.requires_grad:
        return False
    total.backward()
    tensors = list(trained.parameters()) if isinstance(trained, nn.Module) else [trained]
    return any(t.grad is not None and bool((t.grad != 0).any()) for t in tensors)


IMPUTER_TRAINING_CHECKS = [Check("something trains its parameters", something_trains_it)]
HEAD_TRAINING_CHECKS = [Check("a loss trains it", a_loss_trains_it)]
