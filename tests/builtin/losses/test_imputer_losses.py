import torch

from hcat_builtin.losses.imputer_losses import ImputationLoss, KLDivergence
from hcat_core.interfaces import Average
from hcat_core.testing.cohorts import random_cohort


def test_the_losses_of_the_imputer_are_returned_as_computed(outputs):
    cohort = random_cohort(4)
    means = {"kl": 2.0, "hidden": 3.0, "step_1": 0.5}
    terms = {name: Average(torch.tensor(mean), torch.tensor(1)) for name, mean in means.items()}
    made = outputs(cohort, losses=terms)
    assert KLDivergence(cohort.layout)(made, cohort) == 2
    assert ImputationLoss(cohort.layout)(made, cohort) == 3.5
    assert KLDivergence(cohort.layout)(outputs(cohort), cohort) == 0
