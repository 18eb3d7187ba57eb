"""``knn`` and ``mice``: tables with gaps, cells mapped back, errors as standard deviation."""

from dataclasses import replace

import pytest
import torch

from hcat_builtin.imputers.knn import NearestNeighbourImputer
from hcat_builtin.imputers.mice import ChainedEquationsImputer
from hcat_core.data.standardisation import Standardiser
from hcat_core.interfaces import FitContext
from hcat_core.testing.cohorts import random_cohort


@pytest.mark.parametrize("make", [NearestNeighbourImputer, ChainedEquationsImputer])
def test_narrow_modalities_are_imputed_on_their_own_cells(make):
    cohort = random_cohort(60).without_targets()
    imputer = make(cohort.layout)
    imputer.fit(cohort, cohort[slice(0, 0)], FitContext(0))
    table = imputer.to_table(cohort)
    assert torch.equal(table.isnan(), ~cohort.measured.flatten(1)[:, cohort.layout.cells.flatten()])
    cells = imputer.to_cells(table.nan_to_num(7.0))
    assert torch.equal(cells[cohort.measured], cohort.emb[cohort.measured])
    assert (cells[:, ~cohort.layout.cells] == 0).all()


def test_mice_reduces_a_wide_modality_to_components_and_reports_it():
    cohort = random_cohort(60, {"clinical": 4, "spatial": 30}, gaps=0).without_targets()
    imputer = ChainedEquationsImputer(cohort.layout, basis=6)
    messages = []
    imputer.fit(cohort, cohort[slice(0, 0)], FitContext(0, progress=messages.append))
    assert imputer.patients.shape == (60, 4 + 6)
    assert "spatial reduced to 6 principal components" in messages[0]


def test_the_standard_deviation_is_the_error_on_hidden_blocks():
    cohort = random_cohort(600, gaps=0, missing=0).without_targets()
    train, others = cohort[slice(0, 400)], cohort[slice(400, 600)]
    imputer = NearestNeighbourImputer(cohort.layout)
    imputer.fit(train, train[slice(0, 0)], FitContext(0))
    imputation = imputer(others.hide(torch.tensor([False, False, True]).expand(200, -1)))
    z = (others.emb - imputation.emb)[:, 2] / imputation.std[:, 2]
    assert 0.9 < float(z.square().mean().sqrt()) < 1.1


def test_knn_refuses_unknown_weights():
    with pytest.raises(ValueError, match='"uniform" or "distance"'):
        NearestNeighbourImputer(random_cohort(4).layout, weights="near")


@pytest.mark.parametrize("seed", [774629, 944003])
def test_mice_stays_within_the_training_patients_where_features_say_the_same(seed):
    """Regressions of copies of one feature on each other grew from round to round, up to NaN."""
    cohort = random_cohort(
        44, {"a": 3, "b": 2, "c": 30}, missing=0.6, gaps=0.3, seed=seed
    ).without_targets()
    emb = cohort.emb[:, :1, :1] * cohort.measured
    cohort = Standardiser.fit(cohort).apply(replace(cohort, emb=emb))
    train = cohort[slice(0, 22)]
    imputer = ChainedEquationsImputer(train.layout)
    imputer.fit(train, train[slice(0, 0)], FitContext(0))
    filled = imputer(cohort).emb
    assert filled.abs().max() <= cohort.emb.abs().max() + 1e-5


def test_mice_imputes_a_feature_of_one_value_and_one_that_was_never_measured():
    cohort = random_cohort(8, {"a": 3, "b": 2}, gaps=0.3).without_targets()
    emb, measured = cohort.emb.clone(), cohort.measured.clone()
    emb[:, 1, 0], measured[:, 1, 1] = 2.0, False
    cohort = replace(cohort, emb=emb * measured, measured=measured, present=measured.any(dim=2))
    imputer = ChainedEquationsImputer(cohort.layout)
    imputer.fit(cohort, cohort[slice(0, 0)], FitContext(0))
    block = imputer(cohort).emb[:, 1, :2]
    torch.testing.assert_close(block, torch.tensor([2.0, 0.0]).expand(8, 2), atol=1e-4, rtol=0)
