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
