"""Blocks are hidden from patients who have another one."""

from hcat_core.imputation.hidden_blocks import leave_one_block_out
from hcat_core.testing.cohorts import random_cohort


def test_a_patients_only_modality_is_never_hidden():
    cohort = random_cohort(60, missing=0.6)
    several = cohort.present.sum(dim=1) > 1
    assert 0 < int(several.sum()) < 60
    blocks = list(leave_one_block_out(cohort))
    assert [block.column for block in blocks] == [0, 1, 2]
    for block in blocks:
        assert block.rows.tolist() == (several & cohort.present[:, block.column]).nonzero()[:, 0].tolist()
        assert block.cohort.present.any(dim=1).all() and not block.cohort.present[:, block.column].any()
