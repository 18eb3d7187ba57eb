"""``mean``: fitted on training patients, measured cells unchanged, intervals of nominal coverage."""

import torch

from hcat_builtin.imputers.mean import MeanImputer
from hcat_core.interfaces import FitContext
from hcat_core.testing.cohorts import random_cohort

CONTEXT = FitContext(seed=0)


def fitted(cohort):
    imputer = MeanImputer(cohort.layout)
    imputer.fit(cohort.without_targets(), cohort.without_targets(), CONTEXT)
    return imputer


def test_the_mean_is_that_of_the_measured_training_cells():
    cohort = random_cohort(100)
    imputer = fitted(cohort)
    cells = cohort.emb[:, 1, 2][cohort.measured[:, 1, 2]]
    assert torch.isclose(imputer.mean[1, 2], cells.mean(), atol=1e-6)
    assert torch.isclose(imputer.spread[1, 2], cells.std(correction=0), atol=1e-6)


def test_measured_cells_are_bit_identical_and_every_gap_is_filled():
    cohort = random_cohort(100)
    result = fitted(cohort)(cohort.without_targets())
    assert torch.equal(result.emb[cohort.measured], cohort.emb[cohort.measured])
    assert torch.equal(result.filled | cohort.measured, cohort.layout.cells.expand(100, -1, -1))


def test_ninety_percent_intervals_cover_about_ninety_percent_of_hidden_cells():
    cohort = random_cohort(2000, gaps=0, missing=0)
    imputer = fitted(cohort[:1000])
    held_out = cohort[1000:]
    blocks = torch.zeros(1000, 3, dtype=torch.bool)
    blocks[:, 1] = True
    result = imputer(held_out.hide(blocks).without_targets())
    z = (held_out.emb - result.emb)[:, 1, :6] / result.std[:, 1, :6]
    assert 0.88 < (z.abs() < 1.645).float().mean() < 0.92


def test_draws_have_the_standard_deviation_of_the_imputation_and_keep_measured_cells():
    cohort = random_cohort(20)
    result = fitted(cohort)(cohort.without_targets())
    draws = result.draw(4000, torch.Generator().manual_seed(0))
    assert torch.equal(draws[7][cohort.measured], cohort.emb[cohort.measured])
    assert torch.allclose(draws.std(dim=0), result.std, atol=0.08)


def test_a_feature_that_no_training_patient_has_is_filled_at_standard_deviation_one():
    cohort = random_cohort(20).hide(torch.tensor([False, True, False]).expand(20, 3))
    result = fitted(cohort)(cohort.without_targets())
    assert (result.emb[:, 1, :6] == 0).all() and (result.std[:, 1, :6] == 1).all()
