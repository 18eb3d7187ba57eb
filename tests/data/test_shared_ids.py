import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcat_core.data.shared_ids import check_outcome_ids
from hcat_core.errors import DataError

IDS = st.lists(st.text("ab01-", min_size=1, max_size=4), min_size=1, max_size=12, unique=True)


def check(outcomes, patients):
    return check_outcome_ids("out.csv", tuple(outcomes), "wsi", tuple(patients), {})


@given(IDS, IDS)
def test_files_that_share_half_of_the_smaller_list_are_told_nothing_and_others_are(outcomes, patients):
    shared = len(set(outcomes) & set(patients))
    if not shared:
        with pytest.raises(DataError, match="are the ids written the same way"):
            check(outcomes, patients)
    else:
        few = shared < 0.5 * min(len(outcomes), len(patients))
        assert (check(outcomes, patients) is not None) == few


@pytest.mark.parametrize(
    ("outcomes", "patients", "pair"),
    [
        (["TCGA-BB-2", "TCGA-AA-1"], ["TCGA-AA-1-01", "x"], "TCGA-AA-1-01 there, TCGA-AA-1 here"),
        (["9", "17", "23"], ["SITE_17", "SITE_23"], "SITE_17 there, 17 here"),
        (["a"], ["b"], "b there, a here"),
    ],
)
def test_the_example_is_of_two_ids_that_may_be_one_patient(outcomes, patients, pair):
    with pytest.raises(DataError, match=pair):
        check(outcomes, patients)


def test_without_patients_or_outcomes_nothing_can_be_compared():
    assert check([], ["a"]) is None and check(["a"], []) is None
