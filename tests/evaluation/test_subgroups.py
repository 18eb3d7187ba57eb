import numpy as np
import pytest

from hcat_core.errors import UsageError
from hcat_core.evaluation.subgroups import subgroups
from hcat_core.reading import ColumnTable
from hcat_core.testing.cohorts import random_cohort

COHORT = random_cohort(30)


class Column:
    source = "outcomes.csv"

    def __init__(self, values):
        self.values = np.array(values, dtype=object)

    def read_columns(self, names):
        return ColumnTable(np.array(COHORT.patient_ids, dtype=object), {names[0]: self.values})


def test_thirds_of_a_number_are_in_order_and_unknown_patients_come_last():
    ages = [float(age) for age in range(40, 69)] + [None]
    groups = subgroups(COHORT, "age", Column(ages))
    first, second, third, unknown = groups
    assert first.startswith("up to") and third.startswith("above") and unknown == "unknown"
    assert second == f"{first.split()[-1]} to {third.split()[-1]}"
    rows = np.concatenate(list(groups.values()))
    assert rows.tolist() == list(range(30))
    assert [len(rows) for rows in (groups[name] for name in groups)] == [10, 9, 10, 1]


def test_few_distinct_numbers_are_groups_in_order_followed_by_texts():
    groups = subgroups(COHORT, "grade", Column([10, 9, 2, "x", ""] * 6))
    assert list(groups) == ["2", "9", "10", "x", "unknown"]
    assert groups["9"].tolist() == list(range(1, 30, 5))


def test_a_column_of_patient_ids_is_refused_and_one_id_among_sites_is_not():
    ids = list(COHORT.patient_ids)
    with pytest.raises(UsageError, match="--by code: the values are patient ids"):
        subgroups(COHORT, "code", Column(ids))
    with pytest.raises(UsageError, match="--by code: the values are patient ids"):
        subgroups(COHORT, "code", Column([*ids[:20], *["north"] * 10]))
    assert len(subgroups(COHORT, "site", Column([ids[0], *["north"] * 29]))) == 2


@pytest.mark.parametrize(("word", "missing"), [("NA", ["NA"]), (-9, [-9]), ("-9", ["-9.0"])])
def test_what_the_recipe_says_is_missing_is_no_group(word, missing):
    groups = subgroups(COHORT, "site", Column(["a", "b", word] * 10), missing)
    assert list(groups) == ["a", "b", "unknown"]
    assert groups["unknown"].tolist() == list(range(2, 30, 3))


def test_a_column_that_cannot_be_groups_says_why():
    dates = np.array(["2020-01-01"] * 30, dtype="datetime64[D]")
    with pytest.raises(UsageError, match="--by site: no feature has this name.*column site holds dates"):
        subgroups(COHORT, "site", Column(dates.astype(object)))
