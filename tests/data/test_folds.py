from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.model_selection import RepeatedStratifiedKFold

from hcat_core.data.folds import at_most, joint_folds, per_task_folds
from hcat_core.errors import DataError
from hcat_core.testing.cohorts import random_cohort

COHORT = random_cohort(150)


def test_every_patient_is_tested_once_a_repeat_and_never_learned_from():
    folds = joint_folds(COHORT, 5, 3, seed=0)
    assert len(folds) == 15
    for repeat in range(3):
        tested = torch.cat([f.test for f in folds if f.repeat == repeat])
        assert sorted(tested.tolist()) == list(range(150))
    for fold in folds:
        assert not set(fold.rest.tolist()) & set(fold.test.tolist())
        assert len(fold.rest) + len(fold.test) == 150


def test_folds_have_the_cohorts_share_of_events_in_every_task():
    labels = COHORT.targets.labels
    for fold in joint_folds(COHORT, 5, 1, seed=0):
        for task in range(2):
            for outcome in (-1, 0, 1):
                share = float((labels[:, task] == outcome).float().mean())
                assert abs(float((labels[fold.test, task] == outcome).float().mean()) - share) < 0.07


@pytest.mark.parametrize("grouped", [False, True])
def test_each_repeat_has_other_folds_and_the_same_seed_the_same(grouped):
    cohort = replace(COHORT, groups=tuple(f"family {row // 2}" for row in range(150))) if grouped else COHORT
    folds = [fold.test.tolist() for fold in joint_folds(cohort, 5, 2, seed=0)]
    assert not any(fold in folds[5:] for fold in folds[:5])
    assert folds == [fold.test.tolist() for fold in joint_folds(cohort, 5, 2, seed=0)]


def test_a_group_is_on_one_side_and_nobody_without_a_modality_is_in():
    grouped = replace(COHORT, groups=tuple(f"family {row // 3}" for row in range(150)))
    hide = torch.zeros_like(COHORT.present)
    hide[:6] = True
    for fold in joint_folds(grouped.hide(hide), 5, 2, seed=1):
        rest = {grouped.groups[row] for row in fold.rest.tolist()}
        test = {grouped.groups[row] for row in fold.test.tolist()}
        assert not rest & test
        assert min(fold.rest.tolist() + fold.test.tolist()) >= 6


def test_per_task_folds_are_those_of_the_published_table():
    folds = per_task_folds(COHORT, 5, 3, seed=0)
    assert len(folds) == 30
    labels = COHORT.targets.labels[:, 1].numpy()
    known = np.flatnonzero(labels >= 0)
    splitter = RepeatedStratifiedKFold(n_splits=5, n_repeats=3, random_state=0)
    own = [f for f in folds if f.tasks == ("recurrence",)]
    for fold, (_, test) in zip(own, splitter.split(known, labels[known]), strict=True):
        assert fold.test.tolist() == known[test].tolist()
        # Patients whose label is unknown are learned from: they have times.
        assert set(np.flatnonzero(labels < 0)) <= set(fold.rest.tolist())


def test_too_few_patients_for_the_folds_is_an_error():
    with pytest.raises(DataError, match="too few"):
        per_task_folds(COHORT[slice(0, 8)], 5, 1, seed=0)
    with pytest.raises(DataError, match="too few"):
        joint_folds(COHORT[slice(0, 3)], 5, 1, seed=0)


def test_few_groups_make_few_folds_and_it_is_groups_that_are_too_few():
    sites = replace(COHORT, groups=tuple(f"site {row % 4}" for row in range(150)))
    with pytest.raises(DataError, match=r"4 groups \(cohort.groups\) are too few for 5 folds"):
        joint_folds(sites, 5, 1, seed=0)
    assert (at_most(5, sites), at_most(3, sites), at_most(5, COHORT)) == (4, 3, 5)
    folds = joint_folds(sites, at_most(5, sites), 1, seed=0)
    assert all(len({sites.groups[row] for row in fold.test.tolist()}) == 1 for fold in folds)
