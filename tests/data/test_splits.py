"""Splits: one patient, one side; the same share of every outcome; groups unbroken."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hcat_core.data.schema import SplitTable
from hcat_core.data.splits import SPLITS, hold_out_patients, split_by_column, split_cohort
from hcat_core.errors import DataError
from hcat_core.interfaces import ColumnTable
from hcat_core.testing.cohorts import random_cohort


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(60, 200))
def test_every_patient_is_on_exactly_one_side(seed, patients):
    cohort = random_cohort(patients, seed=seed)
    cohort = cohort.hide(torch.arange(patients).unsqueeze(1).expand(-1, 3) < 3)
    split = split_cohort(cohort, SplitTable(), seed)
    rows = torch.cat([split.train, split.validation, split.test, split.left_out])
    assert sorted(rows.tolist()) == list(range(patients))
    assert split.left_out.tolist() == [0, 1, 2]


def test_shares_and_outcomes_are_as_asked():
    cohort = random_cohort(400)
    split = split_cohort(cohort, SplitTable(validation=0.2, test=0.25), 3)
    assert abs(len(split.test) - 100) <= 1 and abs(len(split.validation) - 80) <= 2
    for task in range(2):
        rates = []
        for side in SPLITS:
            labels = cohort.targets.labels[getattr(split, side), task]
            rates.append(((labels == 1).sum() / (labels >= 0).sum()).item())
        assert max(rates) - min(rates) < 0.06


def test_the_same_seed_gives_the_same_split_and_another_another():
    cohort = random_cohort(80)
    one, same, other = (split_cohort(cohort, SplitTable(), seed) for seed in (1, 1, 2))
    assert torch.equal(one.test, same.test) and not torch.equal(one.test, other.test)


def test_records_of_one_group_never_cross_sides():
    cohort = random_cohort(120)
    cohort = replace(cohort, groups=tuple(f"family {row % 30}" for row in range(120)))
    split = split_cohort(cohort, SplitTable(), 0)
    sides = {side: {cohort.groups[row] for row in getattr(split, side).tolist()} for side in SPLITS}
    assert all(sides.values())
    assert not sides["train"] & sides["test"]
    assert not sides["train"] & sides["validation"]
    assert not sides["validation"] & sides["test"]


def test_too_few_groups_stop():
    cohort = replace(random_cohort(120), groups=tuple(f"site {row % 4}" for row in range(120)))
    with pytest.raises(DataError, match="4 groups are too few to hold out 15% .* 7 are needed"):
        split_cohort(cohort, SplitTable(), 0)


def test_of_few_groups_one_is_held_out():
    sites = replace(random_cohort(120), groups=tuple(f"site {row % 3}" for row in range(120)))
    rest, held = hold_out_patients(sites, 0.15, 0)
    assert len({sites.groups[row] for row in held.tolist()}) == 1
    assert len({sites.groups[row] for row in rest.tolist()}) == 2


def test_a_task_with_one_outcome_only_stops():
    cohort = random_cohort(60)
    cohort.targets.labels[:, 1] = 0
    with pytest.raises(DataError, match="task recurrence: .* 0 events"):
        split_cohort(cohort, SplitTable(), 0)


class Sides:
    source = "targets.csv"

    def __init__(self, ids, values):
        self.ids, self.values = ids, values

    def read_columns(self, names):
        return ColumnTable(
            np.array(self.ids, dtype=object), {names[0]: np.array(self.values, dtype=object)}
        )


def test_the_users_own_split_is_taken_as_it_is():
    cohort = random_cohort(12)
    labels = torch.tensor([0, 1] * 6, dtype=torch.int8)
    cohort.targets.labels.copy_(labels.unsqueeze(1).expand(12, cohort.targets.labels.shape[1]))
    cohort = replace(cohort, present=torch.ones_like(cohort.present))
    sides = ["train"] * 6 + ["Test", b"test", "val", "validation", "TRAIN ", "training"]
    split = split_by_column(cohort, Sides(cohort.patient_ids, sides), "side")
    assert split.train.tolist() == [0, 1, 2, 3, 4, 5, 10, 11]
    assert split.test.tolist() == [6, 7] and split.validation.tolist() == [8, 9]
    with pytest.raises(DataError, match='1 patient has none of .*: "holdout" .1., the first of them in row 11 .counted'):
        split_by_column(cohort, Sides(cohort.patient_ids, [*sides[:-1], "holdout"]), "side")
    with pytest.raises(DataError, match="no value .1., the first of them not in the file"):
        split_by_column(cohort, Sides(cohort.patient_ids[:-1], sides[:-1]), "side")
    with pytest.raises(DataError, match='8 patients .*: "0" .6., "holdout" .1., no value .1., .* row 0'):
        split_by_column(cohort, Sides(cohort.patient_ids, [0] * 6 + ["holdout", None, *sides[8:]]), "side")
    grouped = replace(cohort, groups=("north",) * 12)
    with pytest.raises(DataError, match="1 group is in both train and validation"):
        split_by_column(grouped, Sides(cohort.patient_ids, sides), "side")


@pytest.mark.parametrize(
    ("first", "second"), [("train", "validation"), ("train", "test"), ("validation", "test")]
)
def test_the_users_own_split_never_has_a_group_on_two_sides(first, second):
    cohort = random_cohort(12)
    labels = torch.tensor([0, 1] * 6, dtype=torch.int8)
    cohort.targets.labels.copy_(labels.unsqueeze(1).expand(12, cohort.targets.labels.shape[1]))
    sides = ["train"] * 4 + ["validation"] * 4 + ["test"] * 4
    groups = [f"family {row}" for row in range(12)]
    own = split_by_column(
        replace(cohort, groups=tuple(groups)), Sides(cohort.patient_ids, sides), "side"
    )
    assert [len(own.train), len(own.validation), len(own.test)] == [4, 4, 4]
    groups[sides.index(second)] = groups[sides.index(first)]
    crossing = replace(cohort, groups=tuple(groups))
    with pytest.raises(DataError, match=f"1 group is in both {first} and {second}"):
        split_by_column(crossing, Sides(cohort.patient_ids, sides), "side")
