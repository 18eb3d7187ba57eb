"""The network of every built-in head: at most one hidden layer, and dropout."""

from __future__ import annotations

from collections.abc import Callable

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

    start: Tensor

    def __init__(self, width: int, hidden: int, outputs: int, dropout: float, *, bias: bool = True) -> None:
        first: list[nn.Module] = [nn.Linear(width, hidden), nn.GELU()] if hidden else []
        super().__init__(*first, nn.Dropout(dropout), nn.Linear(hidden or width, outputs, bias=bias))
        self.register_buffer("start", torch.zeros(outputs))  # the bias before training, where there is one

    @property
    def last(self) -> nn.Linear:
        """The last layer."""
        layer = self[-1]
        assert isinstance(layer, nn.Linear)
        return layer

    @torch.no_grad()
    def scale(self, weight: float) -> None:
        """Multiply by a weight how far the outputs are from those before training."""
        self.last.weight.mul_(weight)
        if self.last.bias is not None:
            self.last.bias.copy_(self.start + weight * (self.last.bias - self.start))

    @torch.no_grad()
    def start_at(self, bias: Tensor) -> None:
        """Make the outputs a bias (O,), whatever the fused vector is."""
        self.last.weight.zero_()
        self.set_bias(bias)

    @torch.no_grad()
    def set_bias(self, bias: Tensor) -> None:
        """Set the last layer's bias (O,)."""
        self.last.bias.copy_(bias)
        self.start.copy_(self.last.bias)

    @property
    def bias(self) -> Tensor:
        """The last layer's bias (O,), without gradient."""
        return self.last.bias.detach().clone()


def most_likely_bias(start: Tensor, log_likelihood: Callable[[Tensor], Tensor]) -> Tensor:
    """The bias (O,) with the highest total log likelihood, from a start.

    Args:
        start: (O,).
        log_likelihood: of (N,) patients for a bias; NaN where unknown.
    """
    bias = start.detach().clone().requires_grad_(True)
    optimiser = torch.optim.LBFGS([bias], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        terms = log_likelihood(bias)
        known = terms.isfinite()
        # A weak pull to the start keeps the bias of a time bin without events finite.
        total = -torch.where(known, terms, 0.0).sum() + 0.5 * (bias - start).square().sum()
        total.backward()
        return total

    with torch.enable_grad():
        optimiser.step(loss)
    return bias.detach()
