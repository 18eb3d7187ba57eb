"""A patient's random numbers depend on the patient, the seed and the draw, and on nothing else."""

import numpy as np
import torch
from scipy import stats

from hcat_core.interfaces import PatientNumbers, categories, normal

IDS = [f"P{number}" for number in range(4000)]
PLAIN = {"device": torch.device("cpu"), "dtype": torch.float64}


def numbers_of(ids, seed=0, draw=1, shape=(3,)):
    generator = PatientNumbers.of(ids, seed, draw)
    first = normal((len(ids), *shape), generator, rows=0, **PLAIN)
    chosen = categories(torch.tensor([[1.0, 3.0]]).repeat(len(ids), 1), generator)
    second = normal((2, len(ids), *shape), generator, rows=1, **PLAIN)
    return first, chosen, second


def test_a_patients_numbers_are_the_same_in_any_batch_and_order():
    first, chosen, second = numbers_of(IDS)
    some = torch.randperm(len(IDS))[:7]
    again = numbers_of([IDS[row] for row in some])
    assert torch.equal(again[0], first[some])
    assert torch.equal(again[1], chosen[some])
    assert torch.equal(again[2], second[:, some])


def test_other_seeds_and_draws_have_other_numbers():
    found = [numbers_of(IDS, *which)[0] for which in ((0, 1), (0, 2), (1, 1), (11, 2), (1, 12))]
    for place, one in enumerate(found):
        for other in found[:place]:
            assert abs(np.corrcoef(one.flatten(), other.flatten())[0, 1]) < 0.03


def test_numbers_are_standard_normal_and_independent():
    first, chosen, second = numbers_of(IDS)
    every = torch.cat([first, *second], dim=1).numpy()  # (4000, 9)
    assert stats.kstest(every.ravel(), "norm").pvalue > 0.001
    between = np.corrcoef(every.T) - np.eye(9)
    assert np.abs(between).max() < 4 / np.sqrt(len(IDS))
    assert abs(np.corrcoef(every[:-1, 0], every[1:, 0])[0, 1]) < 4 / np.sqrt(len(IDS))
    assert abs(float(chosen.double().mean()) - 0.75) < 0.03
