"""How many patients a model needs, and what is said of a cohort that has fewer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from hcat_core.cohort import Targets
from hcat_core.evaluation.sample_size import (
    check_sample_size,
    highest_r_squared,
    minimum_patients,
    sample_size_warnings,
)
from hcat_core.testing.cohorts import random_cohort


def cohort_with(patients, events, unknown=0, modalities=3):
    """A cohort whose two tasks have this many events."""
    cohort = random_cohort(patients + unknown, {f"m{number}": 2 for number in range(modalities)})
    labels = torch.zeros((patients + unknown, 2), dtype=torch.int8)
    labels[:events] = 1
    labels[patients:] = -1
    return replace(cohort, targets=replace(cohort.targets, labels=labels))


def test_the_answer_is_that_of_the_published_example():
    # Chagas disease in Riley et al. 2019: 4.8 events for each of 24 parameters. Their package pmsampsize
    # gives 623 patients for the shrinkage, 662 for the optimism and 221 for the overall risk.
    assert minimum_patients(0.174, 24, 0.288) == 662
    assert 662 * 0.174 / 24 == pytest.approx(4.8, abs=0.01)
    assert minimum_patients(0.5, 1, 0.5) == 385  # +- .05 around one half: the textbook's number


def test_without_knowledge_a_model_explains_15_percent_of_what_can_be_explained():
    assert highest_r_squared(0.5) == pytest.approx(0.75)
    labels = np.r_[np.ones(20), np.zeros(80)]
    null = log_loss(labels, np.full(100, 0.2), normalize=False)
    assert highest_r_squared(0.2) == pytest.approx(1 - np.exp(-2 * null / 100))
    assert minimum_patients(0.2, 10) == minimum_patients(0.2, 10, 0.15 * highest_r_squared(0.2))


def test_more_predictors_and_rarer_events_need_more_patients():
    by_parameters = [minimum_patients(0.2, p) for p in (5, 10, 20, 40)]
    by_proportion = [minimum_patients(q, 10) for q in (0.5, 0.3, 0.1, 0.02)]
    assert by_parameters == sorted(set(by_parameters))
    assert by_proportion == sorted(set(by_proportion))
    assert minimum_patients(0.1, 10) == minimum_patients(0.9, 10)


@pytest.mark.parametrize("proportion", [0, 1, -0.1])
def test_an_outcome_that_does_not_vary_has_no_sample_size(proportion):
    with pytest.raises(ValueError, match="between 0 and 1"):
        minimum_patients(proportion, 5)


def test_three_events_in_sixty_patients_cannot_be_evaluated():
    (survival, _) = check_sample_size(cohort_with(60, 3))
    assert (survival.patients, survival.events, survival.parameters) == (60, 3, 3)
    assert survival.patients_needed == minimum_patients(0.05, 3) > 500
    assert survival.events_needed == np.ceil(survival.patients_needed * 0.05)
    warning = sample_size_warnings(cohort_with(60, 3))[0]
    assert warning.startswith("survival: 3 events among 60 patients with a known outcome: too few to eval")
    assert f"needs {survival.patients_needed} patients, {survival.events_needed} of them" in warning


def test_a_cohort_that_is_small_is_warned_of_and_a_large_one_is_not():
    (warning, _) = sample_size_warnings(cohort_with(150, 40))
    assert "40 events among 150" in warning and "not be reliable" in warning
    assert sample_size_warnings(cohort_with(1500, 400)) == []


@pytest.mark.parametrize("events", [8, 9992])
def test_many_patients_with_eight_of_an_outcome_are_too_few_to_evaluate(events):
    (survival, _) = check_sample_size(cohort_with(10_000, events, modalities=1))
    assert survival.patients > survival.patients_needed and not survival.enough
    assert "too few to evaluate any model" in survival.message


def test_patients_without_a_known_outcome_do_not_count():
    sizes = [check_sample_size(cohort_with(300, 90, unknown))[0] for unknown in (0, 400)]
    assert sizes[0] == sizes[1]


def test_a_cohort_without_events_has_no_answer():
    (survival, _) = check_sample_size(cohort_with(60, 0))
    assert survival.patients_needed is None and not survival.enough
    assert "nothing can be learned" in survival.message
    assert check_sample_size(replace(cohort_with(60, 0), targets=None)) == []
    none_known = check_sample_size(cohort_with(0, 0, unknown=20))[0]
    assert none_known.proportion is None and "0 events among 0 patients" in none_known.message


def test_the_proportion_of_events_is_weighted_for_censoring():
    rng = np.random.default_rng(0)
    n = 4000
    died, censored = rng.exponential(1000, n), rng.uniform(0, 1500, n)
    time, event = np.minimum(died, censored), (died <= censored).astype(np.int8)
    labels = np.where(time > 730, 0, np.where(event == 1, 1, -1)).astype(np.int8)
    both = [torch.from_numpy(np.stack([v, v], axis=1)) for v in (labels, time.astype(np.float32), event)]
    cohort = random_cohort(n)
    tasks = tuple(replace(task, horizon_days=730.0) for task in cohort.layout.tasks)
    cohort = replace(cohort, layout=replace(cohort.layout, tasks=tasks), targets=Targets(*both))
    (survival, _) = check_sample_size(cohort)
    assert survival.events / survival.patients > 0.6
    assert survival.proportion == pytest.approx(1 - np.exp(-0.73), abs=0.03)


def test_thirty_records_with_the_event_of_three_patients_are_three():
    cohort = cohort_with(1500, 30)
    patients = tuple(f"G{row // 10}" for row in range(1500))
    (of_records, _), (of_patients, _) = (
        check_sample_size(replace(cohort, groups=g)) for g in (None, patients)
    )
    assert (of_records.rarer_outcome, of_patients.rarer_outcome) == (30, 3)
    assert of_records.can_be_evaluated and not of_patients.can_be_evaluated
