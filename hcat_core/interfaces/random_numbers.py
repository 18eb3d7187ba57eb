"""Random numbers for draws of what is missing."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


class CommonNumbers(Generator):
    """A generator for ``normal`` and ``categories``: each row of a batch gets the same numbers."""


def normal(
    shape: tuple[int, ...], generator: Generator, *, rows: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Standard normal numbers of a shape, whose axis ``rows`` is that of patients."""
    if isinstance(generator, CommonNumbers):
        one = (*shape[:rows], 1, *shape[rows + 1 :])
        return torch.randn(one, generator=generator, device=device, dtype=dtype).expand(shape)
    return torch.randn(shape, generator=generator, device=device, dtype=dtype)


def categories(share: Tensor, generator: Generator) -> Tensor:
    """(N,) a category for each row of (N, K) probabilities."""
    rows = 1 if isinstance(generator, CommonNumbers) else len(share)
    at = torch.rand((rows, 1), generator=generator, device=share.device, dtype=share.dtype)
    cumulated = share.cumsum(dim=1)
    return (cumulated < at * cumulated[:, -1:]).sum(dim=1)
