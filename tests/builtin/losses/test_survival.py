from dataclasses import replace

import pytest
import torch

from hcat_builtin.heads.discrete_hazard import DiscreteHazardHead
from hcat_builtin.losses.survival import HazardLoss
from hcat_core.cohort import Targets
from hcat_core.interfaces import Fused, Imputation, Outputs
from hcat_core.testing.cohorts import random_cohort


def test_the_hazard_loss_is_the_likelihood_of_the_intervals():
    layout = random_cohort(5).layout
    head = DiscreteHazardHead(layout, "survival", 18, bins=2, hidden=0)
    head.edges.copy_(torch.tensor([100.0, 200.0]))
    time = torch.tensor([50.0, 150.0, 120.0, 180.0, 500.0])
    event = torch.tensor([1, 1, 0, 0, 0], dtype=torch.int8)
    five = replace(
        random_cohort(5),
        targets=Targets(
            torch.zeros((5, 2), dtype=torch.int8),
            time.unsqueeze(1).expand(5, 2),
            event.unsqueeze(1).expand(5, 2),
        ),
    )
    raw = torch.tensor([[0.3, -0.2, 0.1]]).expand(5, 3)
    h = raw[0].sigmoid()
    likelihood = torch.stack(
        [
            h[0],  # event in the first bin
            (1 - h[0]) * h[1],  # in the second
            1 - h[0],  # censored before the middle of the second: survived the first
            (1 - h[0]) * (1 - h[1]),  # censored after its middle: survived the second too
            (1 - h[0]) * (1 - h[1]),  # censored in the bin without an end
        ]
    )
    empty = torch.zeros((5, 1))
    made = Outputs(
        raw={"survival": raw},
        heads={"survival": head},
        fused=Fused(empty, empty.unsqueeze(1)),
        imputation=Imputation(five.emb, five.emb, five.measured),
    )
    loss = HazardLoss(layout, head="survival")(made, five)
    assert loss.item() == pytest.approx(-likelihood.log().mean().item(), abs=1e-6)
