import math

import pytest
import torch

from hcat_builtin.losses.infonce import InfoNCE
from hcat_core.testing.cohorts import random_cohort


def test_it_needs_a_second_view_and_rewards_agreement_with_it(outputs):
    cohort = random_cohort(16)
    loss = InfoNCE(cohort.layout)
    assert loss.needs_second_view
    with pytest.raises(ValueError, match="two views"):
        loss(outputs(cohort, first=torch.eye(16)), cohort)
    agree = loss(outputs(cohort, first=torch.eye(16), second=torch.eye(16)), cohort)
    shuffled = torch.eye(16).roll(1, dims=0)
    disagree = loss(outputs(cohort, first=torch.eye(16), second=shuffled), cohort)
    chance = loss(outputs(cohort, first=torch.zeros(16, 4), second=torch.zeros(16, 4)), cohort)
    assert agree < 0.01 < chance < disagree
    assert chance == pytest.approx(math.log(16), rel=1e-4)


def test_a_batch_of_one_patient_has_no_loss(outputs):
    cohort = random_cohort(1)
    one = torch.ones(1, 4)
    assert InfoNCE(cohort.layout)(outputs(cohort, first=one, second=one), cohort) == 0
