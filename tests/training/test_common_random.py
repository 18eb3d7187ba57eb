"""Dropout that all patients share: rate and mean as torch's own."""

import torch
from torch import nn

from hcat_core.training.common_random import common_dropout


def test_a_dropped_out_layer_keeps_the_rate_and_the_mean():
    torch.manual_seed(0)
    rows = torch.ones(50, 20_000)
    with common_dropout():
        dropped = nn.functional.dropout(rows, 0.3)
        weights = nn.functional.scaled_dot_product_attention(
            torch.zeros(50, 1, 1, 2),
            torch.zeros(50, 1, 2_000, 2),
            torch.ones(50, 1, 2_000, 1),
            dropout_p=0.3,
        )
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert abs(float((dropped == 0).float().mean()) - 0.3) < 0.02
    assert abs(float(dropped.mean()) - 1) < 0.02
    assert torch.equal(weights, weights[:1].expand_as(weights))
    assert 1e-6 < abs(float(weights[0]) - 1) < 0.05
