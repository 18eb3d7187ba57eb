"""The checks of every fusion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Fused, Imputation
from hcat_core.testing.harness import Check, Subject, require, through_a_file


def _filled(batch: Cohort, value: float = 0.0) -> Imputation:
    filled = ~batch.measured & batch.layout.cells
    return Imputation(torch.where(filled, value, batch.emb), filled * 0.3, filled)


def _make(subject: Subject) -> Any:
    fusion = subject.make()
    if isinstance(fusion, nn.Module):
        fusion.eval()
    return fusion


def shapes(subject: Subject) -> None:
    """One vector per patient, of the fusion's ``width``."""
    batch = subject.test
    fusion = _make(subject)
    for some in (batch, batch[slice(0, 1)]):
        fused = fusion(some, _filled(some))
        require(isinstance(fused, Fused), "it does not return a Fused")
        expected = (len(some), fusion.width)
        require(tuple(fused.pooled.shape) == expected, f"pooled is {tuple(fused.pooled.shape)}")
        require(fused.tokens.ndim == 3, "tokens are not (N, K, H)")


def finite_with_one_modality(subject: Subject) -> None:
    """Finite with a single modality, whether the others were imputed or not."""
    batch = subject.test
    hide = torch.ones_like(batch.present)
    hide[:, 0] = False
    alone = batch.hide(hide)
    nothing = Imputation(alone.emb, torch.zeros_like(alone.emb), torch.zeros_like(alone.measured))
    fusion = _make(subject)
    for imputation in (_filled(alone), nothing):
        require(fusion(alone, imputation).pooled.isfinite().all(), "not finite with one modality")


def imputed_blocks_count(subject: Subject) -> None:
    """Imputed blocks change the vectors of patients who lack a modality, and no others."""
    batch = subject.test
    fusion = _make(subject)
    low, high = (fusion(batch, _filled(batch, value)).pooled for value in (-1.0, 1.0))
    moved = (low - high).abs().amax(dim=1)
    complete = batch.measured.sum(dim=(1, 2)) == sum(batch.layout.widths)
    lacking = ~batch.present.all(dim=1)
    require((moved[lacking] > 0).all(), "an imputed block does not reach the fused vector")
    require((moved[complete] == 0).all(), "a complete patient depends on the imputer")


def absent_slots_are_not_looked_at(subject: Subject) -> None:
    """Values in cells that were neither measured nor filled have no influence."""
    batch = subject.test
    nothing = Imputation(batch.emb, torch.zeros_like(batch.emb), torch.zeros_like(batch.measured))
    emb = torch.where(batch.measured, batch.emb, 1e4)
    rubbish = replace(batch, emb=emb)
    fusion = _make(subject)
    one = fusion(batch, nothing).pooled
    two = fusion(rubbish, replace(nothing, emb=emb)).pooled
    require(torch.equal(one, two), "values in absent slots change the fused vector")


def order_changes_nothing(subject: Subject) -> None:
    """Each patient is fused independently of the others."""
    batch = subject.test
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(0))
    fusion = _make(subject)
    one, two = fusion(batch, _filled(batch)).pooled, fusion(batch[order], _filled(batch[order])).pooled
    require(torch.allclose(one[order], two, atol=1e-4), "another order gives another vector")


def gradients_are_finite(subject: Subject) -> None:
    """Gradients reach the parameters, and are finite."""
    fusion = subject.make()
    if not isinstance(fusion, nn.Module):
        return
    fused = fusion(subject.test, _filled(subject.test))
    fused.pooled.square().mean().backward()
    gradients: list[Tensor] = [p.grad for p in fusion.parameters() if p.grad is not None]
    require(gradients and all(g.isfinite().all() for g in gradients), "a gradient is not finite")


def state_round_trips(subject: Subject) -> None:
    """A state saved as safetensors and loaded gives the same vector."""
    fusion = _make(subject)
    torch.manual_seed(99)
    fresh = _make(subject)
    if not isinstance(fusion, nn.Module):
        return
    for parameter in fresh.parameters():
        nn.init.zeros_(parameter)
    fresh.load_state_dict(through_a_file(fusion))
    imputation = _filled(subject.test)
    one, two = fusion(subject.test, imputation).pooled, fresh(subject.test, imputation).pooled
    require(torch.equal(one, two), "after saving and loading, the fused vector differs")


FUSION_CHECKS = [
    Check("gives one vector per patient, of its width", shapes),
    Check("finite with one modality left", finite_with_one_modality),
    Check("imputed blocks count, and only where something is missing", imputed_blocks_count),
    Check("values in absent slots change nothing", absent_slots_are_not_looked_at),
    Check("order of patients changes nothing", order_changes_nothing),
    Check("gradients are finite", gradients_are_finite),
    Check("state round-trips through safetensors", state_round_trips),
]
