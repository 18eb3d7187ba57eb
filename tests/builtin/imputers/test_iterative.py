import pytest
import torch

from hcat_builtin.imputers.attention import AttentionImputer
from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_builtin.imputers.iterative import AdvancedIterativeImputer
from hcat_builtin.imputers.knn import NearestNeighbourImputer
from hcat_builtin.imputers.mean import MeanImputer
from hcat_builtin.imputers.none import NoImputer
from hcat_core.imputation.pretraining import hidden_block_crps
from hcat_core.interfaces import FitContext


@pytest.mark.parametrize("first", [MeanImputer, NearestNeighbourImputer, AttentionImputer])
def test_before_training_it_imputes_as_its_first_imputer_does(first, patients):
    imputer = AdvancedIterativeImputer(patients.layout, first=first(patients.layout), fit_epochs=0)
    imputer.fit(patients.train, patients.validation, FitContext(0))
    refined, start = imputer(patients.test), imputer.start(patients.test)
    torch.testing.assert_close(refined.emb, start.emb)
    torch.testing.assert_close(refined.std, start.std)


def test_refinements_that_do_not_help_are_the_identity(patients):
    first = GaussianImputer(patients.layout, rank=8, components=1)
    imputer = AdvancedIterativeImputer(patients.layout, first=first, fit_epochs=8, lr=0.5)
    imputer.fit(patients.train, patients.validation, FitContext(0))
    assert (imputer.confidences() == 0).all()
    torch.testing.assert_close(imputer(patients.test).emb, first(patients.test).emb)


def test_refinements_of_the_mean_help_and_change_missing_cells_only(patients):
    first = MeanImputer(patients.layout)
    imputer = AdvancedIterativeImputer(patients.layout, first=first, hidden=64, fit_epochs=20)
    imputer.fit(patients.train, patients.validation, FitContext(0))
    test = patients.test
    imputation = imputer(test)
    assert torch.equal(imputation.emb[test.measured], test.emb[test.measured])
    assert hidden_block_crps(imputer, test) < 0.95 * hidden_block_crps(first, test)
    confidence = imputer.confidences()
    assert confidence.shape == (3, 4)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert (confidence[0] > 0.3).all()


def test_a_block_that_the_first_imputer_leaves_unfilled_stays_so(patients):
    imputer = AdvancedIterativeImputer(patients.layout, first=NoImputer(patients.layout), fit_epochs=2)
    imputer.fit(patients.train, patients.validation, FitContext(0))
    assert not imputer(patients.test).filled.any()
