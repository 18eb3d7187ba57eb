"""A cohort keeps its axes together, whatever is taken from it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hcat_core.cohort import MultiModalDataset, concatenate
from hcat_core.testing.cohorts import random_cohort


@given(st.integers(0, 50), st.lists(st.integers(0, 11), min_size=1, max_size=20))
def test_picking_rows_keeps_every_field_of_a_patient_together(seed, rows):
    cohort = random_cohort(12, seed=seed)
    picked = cohort[torch.tensor(rows)]
    assert picked.patient_ids == tuple(cohort.patient_ids[r] for r in rows)
    for name in ("emb", "measured", "present", "quality", "n_rows"):
        assert torch.equal(getattr(picked, name), getattr(cohort, name)[rows])
    assert torch.equal(picked.targets.labels, cohort.targets.labels[rows])


@given(st.integers(0, 50))
def test_hidden_blocks_leave_nothing_behind(seed):
    cohort = random_cohort(12, seed=seed)
    blocks = torch.rand(12, 3) < 0.5
    hidden = cohort.hide(blocks)
    for field in (hidden.emb, hidden.measured, hidden.present, hidden.quality, hidden.n_rows):
        assert not field[blocks].any()
    kept = ~blocks
    assert torch.equal(hidden.emb[kept], cohort.emb[kept])
    assert torch.equal(hidden.present[kept], cohort.present[kept])


def test_a_mask_of_bools_picks_like_row_numbers():
    cohort = random_cohort(6)
    keep = torch.tensor([True, False, True, False, False, True])
    assert cohort[keep].patient_ids == cohort[torch.tensor([0, 2, 5])].patient_ids


def test_wrong_shapes_are_refused_by_field_name():
    cohort = random_cohort(6)
    with pytest.raises(ValueError, match="Cohort.emb must be"):
        type(cohort)(
            patient_ids=cohort.patient_ids,
            layout=cohort.layout,
            emb=cohort.emb[:, :2],
            measured=cohort.measured,
            present=cohort.present,
            quality=cohort.quality,
            n_rows=cohort.n_rows,
        )


def test_nobody_has_no_extremes():
    cohort = random_cohort(12)
    low, high = cohort[slice(0, 0)].extremes()
    assert low.shape == high.shape == cohort.emb.shape[1:]
    assert (low == torch.inf).all() and (high == -torch.inf).all()
    assert torch.equal(cohort[slice(0, 0)].two_valued(), cohort.layout.cells)


def test_the_fingerprint_follows_the_data():
    one, same, other = random_cohort(8), random_cohort(8), random_cohort(8, seed=1)
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    same.targets.labels[3, 1] = 1 - same.targets.labels[3, 1].abs()
    assert one.fingerprint() != same.fingerprint()


def test_the_documents_dictionary_is_a_view_of_a_patient():
    cohort = random_cohort(5)
    dataset = MultiModalDataset(cohort)
    sample = dataset[3]
    assert set(sample) == {"patient_id", "emb", "quality", "present", "targets"}
    assert sample["emb"].shape == (3, 8) and sample["emb"].dtype == np.float32
    assert sample["targets"].shape == (2,)
    assert len(list(dataset)) == 5
    with pytest.raises(IndexError):
        dataset[5]


def test_two_views_of_a_batch_become_one_of_twice_the_length():
    cohort = random_cohort(4)
    both = concatenate(cohort, cohort.hide(cohort.present))
    assert len(both) == 8 and len(both.targets.labels) == 8
    assert torch.equal(both.emb[:4], cohort.emb) and not both.present[4:].any()
