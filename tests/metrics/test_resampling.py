"""Groups of records: how they are numbered, weighted and drawn."""

import numpy as np

from hcat_core.metrics.resampling import group_numbers, shares_of_groups


def test_the_known_records_of_a_group_count_as_one_patient_together():
    groups, known = np.array([0, 0, 0, 1, 2, 2]), np.array([True, True, False, True, True, False])
    share = shares_of_groups(known, groups)
    assert share[known].tolist() == [0.5, 0.5, 1, 1]
    assert shares_of_groups(known, None).tolist() == [1] * 6


def test_groups_of_one_record_each_are_none():
    assert group_numbers(["b", "a", "c"]) is None and group_numbers(None) is None
    assert group_numbers(["b", "a", "b"]).tolist() == [1, 0, 1]
