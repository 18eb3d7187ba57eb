import torch

from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_builtin.imputers.iterative import AdvancedIterativeImputer
from hcat_builtin.imputers.mean import MeanImputer
from hcat_builtin.imputers.vae import MultiModalVAE
from hcat_core.interfaces import FitContext


def test_before_training_it_imputes_as_its_first_imputer_does(patients):
    first = MeanImputer(patients.layout)
    imputer = AdvancedIterativeImputer(patients.layout, first=first).eval()
    imputer.fit(patients.train, patients.validation, FitContext(0))
    refined, start = imputer(patients.test), first(patients.test)
    torch.testing.assert_close(refined.emb, start.emb)
    torch.testing.assert_close(refined.std, start.std)


def test_a_refinement_that_does_not_help_is_undone(patients):
    first = GaussianImputer(patients.layout, rank=8, components=1)
    imputer = AdvancedIterativeImputer(patients.layout, first=first, fit_epochs=8, lr=0.5)
    imputer.fit(patients.train, patients.validation, FitContext(0))
    torch.testing.assert_close(imputer(patients.test).emb, first(patients.test).emb)


def test_refinements_change_missing_cells_only_and_step_by_step(patients):
    first = MultiModalVAE(patients.layout, hidden=64, latent_dim=16)
    imputer = AdvancedIterativeImputer(patients.layout, first=first, hidden=64)
    patients.losses(imputer, 60)
    imputer.eval()
    test = patients.test
    imputation = imputer(test)
    assert torch.equal(imputation.emb[test.measured], test.emb[test.measured])
    assert not torch.allclose(imputation.emb, imputer.first(test).emb)
    confidence = imputer.confidences(test)
    assert confidence.shape == (3, len(test), 4)
    assert ((confidence > 0) & (confidence < 1)).all()
