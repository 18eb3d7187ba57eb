"""Modality dropout and noise touch what they say and leave every patient something."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hcat_core.recipe.schema import TrainingTable
from hcat_core.testing.cohorts import random_cohort
from hcat_core.training.augmentation import augment, dropped_modalities


@given(st.integers(0, 500), st.floats(0, 0.99), st.sampled_from(["per_sample", "per_batch"]))
def test_only_present_modalities_are_dropped_and_never_the_last(seed, rate, mode):
    torch.manual_seed(seed)
    present = torch.rand(40, 5) < 0.5
    drop = dropped_modalities(present, rate, mode)
    assert not (drop & ~present).any()
    assert torch.equal((present & ~drop).any(dim=1), present.any(dim=1))


def test_the_rate_is_the_rate():
    torch.manual_seed(0)
    present = torch.ones(20_000, 5, dtype=torch.bool)
    drop = dropped_modalities(present, 0.3, "per_sample")
    assert abs(drop.float().mean() - 0.3) < 0.01


def test_per_batch_hides_the_same_from_everyone_and_per_sample_does_not():
    torch.manual_seed(0)
    present = torch.ones(64, 5, dtype=torch.bool)
    together = dropped_modalities(present, 0.5, "per_batch")
    apart = dropped_modalities(present, 0.5, "per_sample")
    assert len(together.unique(dim=0)) == 1 and len(apart.unique(dim=0)) > 5


def test_two_views_of_a_patient_differ():
    torch.manual_seed(0)
    cohort = random_cohort(32)
    one, two = (augment(cohort, TrainingTable()) for _ in range(2))
    assert not torch.equal(one.present, two.present)
    assert not torch.equal(one.emb, two.emb)


@pytest.mark.parametrize("settings", [TrainingTable(moddrop=0, emb_noise=0), TrainingTable()])
def test_noise_never_reaches_a_cell_that_was_not_measured(settings):
    cohort = random_cohort(32)
    view = augment(cohort, settings)
    assert not view.emb[~view.measured].any()
    if settings.moddrop == 0:
        assert torch.equal(view.emb, cohort.emb)
