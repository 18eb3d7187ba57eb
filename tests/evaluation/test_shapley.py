"""Shapley values against their definition."""

from itertools import permutations

import numpy as np
import torch

from hcat_core.evaluation.shapley import shapley_values
from hcat_core.testing.cohorts import random_cohort

WIDTHS = {"a": 3, "b": 2, "c": 4}


def said_of(cohort):
    """A product of sums of the modalities: the effect of each depends on the others."""
    sums = (cohort.emb * cohort.measured).sum(dim=2).double()
    first = torch.sigmoid(sums[:, 0] * sums[:, 1] + sums[:, 2]).numpy()
    return np.stack([first, 1 - first**2], axis=1)


def test_shapley_values_are_the_mean_gain_over_all_orders():
    cohort = random_cohort(12, WIDTHS, missing=0.3, gaps=0)
    cohort = cohort[cohort.present.any(dim=1)]
    base = np.array([0.3, 0.6])
    values, explained = shapley_values(said_of, cohort, base)
    expected = np.zeros_like(values)
    for row in range(len(cohort)):
        there = cohort.present[row].nonzero().squeeze(1).tolist()
        orders = list(permutations(there))
        for order in orders:
            before = base
            for count in range(1, len(order) + 1):
                kept = torch.zeros(3, dtype=torch.bool)
                kept[list(order[:count])] = True
                now = said_of(cohort[torch.tensor([row])].hide(~kept.unsqueeze(0)))[0]
                expected[row, :, order[count - 1]] += (now - before) / len(orders)
                before = now
    np.testing.assert_allclose(values, expected, atol=1e-12)
    np.testing.assert_allclose(base + values.sum(axis=2), explained, atol=1e-12)
    np.testing.assert_allclose(explained, said_of(cohort), atol=1e-12)
