"""The network of every built-in head: at most one hidden layer, and dropout."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class HeadNetwork(nn.Sequential):
    """Maps a fused vector (N, H) to a head's outputs (N, O).

    Args:
        width: H.
        hidden: width of the hidden layer; 0 for none.
        outputs: O.
        dropout: rate before the last layer.
        bias: give the last layer a bias.
    """

    def __init__(self, width: int, hidden: int, outputs: int, dropout: float, *, bias: bool = True) -> None:
        first: list[nn.Module] = [nn.Linear(width, hidden), nn.GELU()] if hidden else []
        super().__init__(*first, nn.Dropout(dropout), nn.Linear(hidden or width, outputs, bias=bias))

    @property
    def last(self) -> nn.Linear:
        """The last layer."""
        layer = self[-1]
        assert isinstance(layer, nn.Linear)
        return layer

    @torch.no_grad()
    def scale(self, weight: float) -> None:
        """Multiply what depends on the fused vector by a weight; the bias stays."""
        self.last.weight.mul_(weight)

    @torch.no_grad()
    def set_bias(self, bias: Tensor) -> None:
        """Set the last layer's bias (O,)."""
        self.last.bias.copy_(bias)
