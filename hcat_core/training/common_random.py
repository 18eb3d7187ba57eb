"""Random numbers that every patient of a batch shares, so that a prediction is a patient's own.

With numbers drawn row by row, what is predicted of a patient would hang on who else is asked about, and the
order of patients on chance. Common random numbers (Glasserman 2003, section 4) leave each patient's
distribution as it is.
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
    """Dropout within drops the same units of every row: one network, drawn at random, for all.

    Gal and Ghahramani (2016) sample networks; that each row gets one of its own is for training. Torch's
    modules look these two functions up each time that they are called; others ask ``dropout_is_common``.
    """
    torchs = functional.dropout, functional.scaled_dot_product_attention
    functional.dropout = _dropout
    functional.scaled_dot_product_attention = _attention  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.dropout, functional.scaled_dot_product_attention = torchs


def dropout_is_common() -> bool:
    """Is this within ``common_dropout``? A module with a dropout of its own then leaves it to torch's."""
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
    """As torch computes it, but for which weights are dropped."""
    if dropout_p == 0 or is_causal or more:
        return _torch_attention(query, key, value, attn_mask, dropout_p, is_causal, **more)
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    if attn_mask is not None:
        blocked = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -torch.inf) if blocked else scores + attn_mask
    return _dropout(scores.softmax(dim=-1), dropout_p) @ value
