"""The network of every built-in head: at most one hidden layer, and dropout."""

from __future__ import annotations

from torch import nn


def mlp(width: int, hidden: int, outputs: int, dropout: float, *, bias: bool = True) -> nn.Sequential:
    """Map a fused vector to a head's outputs.

    Args:
        width: of the fused vector.
        hidden: width of the hidden layer; 0 for none.
        outputs: number of outputs.
        dropout: rate before the last layer.
        bias: give the last layer a bias.
    """
    first: list[nn.Module] = [nn.Linear(width, hidden), nn.GELU()] if hidden else []
    return nn.Sequential(*first, nn.Dropout(dropout), nn.Linear(hidden or width, outputs, bias=bias))
