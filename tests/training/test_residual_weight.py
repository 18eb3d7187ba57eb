"""How much of a network's correction is kept."""

import numpy as np
import pytest

from hcat_core.training.residual_weight import WEIGHTS, choose_weight


def likelihoods(slope, noise, patients=400, seed=0):
    """(W, N) log likelihoods, quadratic in the weight, highest at ``slope`` on average."""
    each = slope + noise * np.random.default_rng(seed).standard_normal(patients)
    return np.stack([-((weight - each) ** 2) for weight in WEIGHTS])


def test_a_correction_that_helps_is_kept_at_its_best_weight():
    chosen = choose_weight(likelihoods(0.8, 0.5))
    assert chosen.weight == pytest.approx(0.8, abs=0.1)
    assert chosen.gain > 5 * chosen.error > 0


def test_a_correction_that_harms_is_not_kept():
    assert choose_weight(likelihoods(-0.5, 0.5)).weight == 0


def test_a_correction_of_noise_is_not_kept_more_often_than_chance_makes_it():
    kept = [choose_weight(likelihoods(0.0, 1.0, seed=seed)).weight > 0 for seed in range(200)]
    assert np.mean(kept) < 0.1


def test_without_patients_of_known_outcome_there_is_no_correction():
    chosen = choose_weight(np.zeros((len(WEIGHTS), 0)))
    assert (chosen.weight, chosen.patients) == (0.0, 0)


def test_records_of_one_patient_are_no_further_patients():
    """Corrections of nothing, six records a patient, 300 cohorts: as patients, one in ten is kept."""
    kept = {True: 0, False: 0}
    groups = np.repeat(np.arange(likelihoods(0.0, 1.0).shape[1]), 6)
    for seed in range(300):
        terms = likelihoods(0.0, 1.0, seed=seed)[:, groups]
        for grouped in kept:
            kept[grouped] += choose_weight(terms, groups if grouped else None).weight > 0
    assert kept[True] <= 6 and kept[False] > 18
