"""Training-time augmentation of a batch: modality dropout and embedding noise."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.recipe.schema import TrainingTable


def augment(batch: Cohort, training: TrainingTable) -> Cohort:
    """One random view of a batch, from torch's global generator."""
    view = batch
    if training.moddrop > 0:
        view = view.hide(dropped_modalities(view.present, training.moddrop, training.moddrop_mode))
    if training.emb_noise > 0:
        # In units of the training standard deviation: the batch is standardised.
        noise = torch.randn_like(view.emb) * training.emb_noise
        view = replace(view, emb=view.emb + noise * view.measured)
    return view


def dropped_modalities(present: Tensor, rate: float, mode: str) -> Tensor:
    """(N, M) bool: present modalities to hide, each at ``rate``; every patient keeps at least one.

    ``per_batch`` hides the same modalities from the whole batch, ``per_sample`` draws anew for each
    patient.
    """
    n, m = present.shape
    scores = torch.rand((1 if mode == "per_batch" else n, m), device=present.device)
    drop = present & (scores < rate)
    bare = ~(present & ~drop).any(dim=1)
    # A patient who would lose every modality keeps the one that came closest to being kept.
    keeper = scores.expand(n, m).masked_fill(~present, -1.0).argmax(dim=1)
    kept = torch.zeros_like(present).scatter_(1, keeper.unsqueeze(1), True)
    return drop & ~(kept & bare.unsqueeze(1))
