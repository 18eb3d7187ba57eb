"""Dropout with the same random numbers for every patient of a batch.

With numbers drawn row by row, the prediction for a patient would depend on the other patients in the batch,
and the ranking of patients on chance. Common random numbers (Glasserman 2003, section 4) leave the
distribution of each patient's prediction as it is. ``hcat_core.interfaces`` has them for missing values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_torch_attention = functional.scaled_dot_product_attention


@contextmanager
def common_dropout() -> Iterator[None]:
    """Inside this context dropout drops the same units for every row: one random network for all patients.

    Gal and Ghahramani (2016) sample networks; a network of its own for each row is for training. torch's
    modules look these two functions up at each call; other dropout modules ask ``dropout_is_common``.
    """
    torch_functions = functional.dropout, functional.scaled_dot_product_attention
    functional.dropout = _dropout
    functional.scaled_dot_product_attention = _attention  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.dropout, functional.scaled_dot_product_attention = torch_functions


def dropout_is_common() -> bool:
    """Whether ``common_dropout`` is on; a module with its own dropout then uses torch's instead."""
    return functional.dropout is _dropout


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if not training or p == 0:
        return input
    kept = torch.rand((1, *input.shape[1:]), device=input.device) >= p
    return input * kept.to(input.dtype).mul_(1 / (1 - p))


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **more: Any,
) -> Tensor:
    """torch's attention, with the same attention weights dropped for every row."""
    if dropout_p == 0 or is_causal or more:
        return _torch_attention(query, key, value, attn_mask, dropout_p, is_causal, **more)
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    if attn_mask is not None:
        blocked = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -torch.inf) if blocked else scores + attn_mask
    return _dropout(scores.softmax(dim=-1), dropout_p) @ value
