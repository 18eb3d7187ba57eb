"""Missingness patterns: the combinations of modalities that patients have."""

from __future__ import annotations

import torch
from torch import Tensor


def count_patterns(present: Tensor) -> list[tuple[tuple[bool, ...], int]]:
    """The distinct rows of (N, M) ``present`` with their counts, the most frequent first."""
    rows, counts = torch.unique(present, dim=0, return_counts=True)
    patterns = [
        (tuple(bool(has) for has in row), int(count))
        for row, count in zip(rows.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(patterns, key=lambda item: (-item[1], [not has for has in item[0]]))


def subsets(n_modalities: int) -> list[Tensor]:
    """All 2^M - 1 non-empty subsets of M modalities, (M,) bool each, the largest first."""
    numbers = torch.arange(1, 2**n_modalities)
    chosen = (numbers.unsqueeze(1) >> torch.arange(n_modalities)) % 2 == 1
    order = torch.argsort(chosen.sum(dim=1), descending=True, stable=True)
    return list(chosen[order])
