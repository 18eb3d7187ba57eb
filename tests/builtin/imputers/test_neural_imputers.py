"""What ``vae``, ``attention`` and ``iterative`` have in common."""

import copy
import math

import pytest
import torch

from hcat_builtin.imputers.attention import AttentionImputer
from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_builtin.imputers.iterative import AdvancedIterativeImputer
from hcat_builtin.imputers.vae import MultiModalVAE
from hcat_core.imputation.pretraining import hidden_block_crps
from hcat_core.imputation.scores import gaussian_crps
from hcat_core.interfaces import FitContext

LINEAR = {"rank": 4, "components": 1}


def vae(layout, linear=LINEAR, **parameters):
    return MultiModalVAE(layout, **{"hidden": 64, "latent_dim": 16} | linear | parameters)


def attention(layout, linear=LINEAR, **parameters):
    return AttentionImputer(layout, **{"hidden": 64} | linear | parameters)


def iterative(layout, linear=LINEAR, **parameters):
    first = GaussianImputer(layout, **linear)
    return AdvancedIterativeImputer(layout, **{"first": first, "hidden": 64} | parameters)


neural = pytest.mark.parametrize("make", [vae, attention, iterative])


@neural
@pytest.mark.parametrize("linear", [{}, {"rank": 3, "components": 1}, {"rank": 3, "components": 3}])
def test_before_training_it_imputes_as_gaussian_does(make, linear, patients):
    """With gaps inside blocks, with one modality left, with several clusters; mean, spread and draws."""
    gaussian, imputer = (
        GaussianImputer(patients.layout, **linear),
        make(patients.layout, linear, fit_epochs=0),
    )
    for one in (gaussian, imputer):
        one.fit(patients.train, patients.validation, FitContext(0))
    test = patients.test
    assert (test.present.sum(dim=1) == 1).any() and (test.present.unsqueeze(-1) > test.measured).any()
    expected, found = gaussian(test), imputer.eval()(test)
    torch.testing.assert_close(found.emb, expected.emb, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.std, expected.std, rtol=0, atol=1e-6)
    drawn = [one.draw(3, torch.Generator().manual_seed(1)) for one in (expected, found)]
    torch.testing.assert_close(drawn[1], drawn[0], rtol=0, atol=1e-5)
    assert torch.equal(found.filled, expected.filled)


@neural
def test_it_starts_with_the_trust_of_gaussian(make, patients):
    """A modality that the others do not predict is imputed by the mean, also by a network."""
    noise = torch.randn(patients.train.emb.shape, generator=torch.Generator().manual_seed(0))
    alone = patients.with_cells(3, noise)
    gaussian, imputer = GaussianImputer(alone.layout), make(alone.layout, {}, fit_epochs=3)
    for one in (gaussian, imputer):
        one.fit(alone.train, alone.validation, FitContext(0))
    assert float(gaussian.trust[3]) < 1
    missing = ~alone.test.present[:, 3]
    torch.testing.assert_close(imputer(alone.test).emb[missing, 3], gaussian(alone.test).emb[missing, 3])


@neural
def test_on_a_linear_cohort_it_is_as_good_as_gaussian(make, patients):
    gaussian, imputer = GaussianImputer(patients.layout, **LINEAR), make(patients.layout, fit_epochs=20)
    for one in (gaussian, imputer):
        one.fit(patients.train, patients.validation, FitContext(0))
    assert hidden_block_crps(imputer, patients.test) < 1.01 * hidden_block_crps(gaussian, patients.test)


@neural
def test_on_a_curved_cohort_it_is_better_than_gaussian(make, curved):
    """R2 on the missing blocks of test patients, and CRPS, both improve."""
    patients, truth = curved
    linear = {"rank": 8, "components": 3}
    imputer = make(patients.layout, linear)
    imputer.fit(patients.train, patients.validation, FitContext(0))
    missing = ~patients.test.present
    scores = []
    for one in (imputer.start, imputer):
        found = one(patients.test)
        error = (truth - found.emb)[missing].square().sum() / truth[missing].square().sum()
        crps = gaussian_crps(truth, found.emb, found.std)[missing].mean()
        scores.append((1 - float(error), float(crps)))
    (r2, crps), (better_r2, better_crps) = scores
    assert better_r2 > r2 + 0.01
    assert better_crps < crps


@neural
def test_the_losses_of_joint_training_start_above_zero_and_fall(make, patients):
    imputer = make(patients.layout, fit_epochs=0, frozen=False)
    imputer.fit(patients.train, patients.validation, FitContext(0))
    history = patients.losses(imputer, 90)
    for term in [t for t in history[0] if t.endswith("hidden")]:
        start = sum(h[term] for h in history[:5]) / 5
        end = sum(h[term] for h in history[-20:]) / 20
        assert start > 0
        assert end < 0.95 * start, (term, start, end)


@neural
def test_gates_learn_in_joint_training(make, patients):
    imputer = make(patients.layout, fit_epochs=0, frozen=False)
    imputer.fit(patients.train, patients.validation, FitContext(0))
    patients.losses(imputer, 60)
    assert any(not gate.is_closed for gate in imputer.gates)


@neural
def test_the_loss_on_hidden_blocks_is_zero_where_no_block_can_be_hidden(make, patients):
    imputer = make(patients.layout, fit_epochs=0, frozen=False)
    imputer.fit(patients.train, patients.validation, FitContext(0))
    only_one = patients.train[patients.train.present.sum(dim=1) == 1]
    # No patient has a second block to hide: a loss on observed cells would not be zero here.
    losses = imputer.train()(only_one).losses
    of_hidden = [term for name, term in losses.items() if name.endswith(("hidden", "result"))]
    assert of_hidden and all(float(term.value.detach()) == 0 for term in of_hidden)


@neural
def test_a_frozen_imputer_is_trained_first_and_then_does_not_change(make, patients):
    imputer = make(patients.layout, fit_epochs=2)
    before = {k: v.clone() for k, v in imputer.state_dict().items()}
    imputer.fit(patients.train, patients.validation, FitContext(0))
    assert any(not torch.equal(before[k], v) for k, v in imputer.state_dict().items() if k in before)
    assert not any(p.requires_grad for p in imputer.parameters())
    with torch.no_grad():
        imputer.gates[0].weight.fill_(0.5)
    batch = patients.train[slice(0, 16)]
    expected, found = imputer(batch), imputer.train()(batch)
    assert found.losses == {}
    torch.testing.assert_close(found.emb, expected.emb)


@neural
def test_with_few_validation_patients_it_chooses_on_training_patients(make, patients):
    messages = []
    imputer = make(patients.layout, fit_epochs=2)
    few = patients.validation[slice(0, 5)]
    imputer.fit(patients.train, few, FitContext(0, progress=messages.append))
    assert "on hidden blocks" in messages[-1] and "nan" not in messages[-1]
    assert math.isfinite(hidden_block_crps(imputer, patients.test))


@neural
def test_its_state_has_what_was_chosen_and_loads_into_a_new_one(make, patients):
    imputer = make(patients.layout, {}, fit_epochs=2)
    imputer.fit(patients.train, patients.validation, FitContext(0))
    fresh = make(patients.layout, {}).eval()
    fresh.load_state_dict(imputer.state_dict())
    copied = copy.deepcopy(imputer)
    with torch.inference_mode():
        expected = imputer(patients.test)
        for other in (fresh, copied):
            found = other(patients.test)
            assert torch.equal(found.emb, expected.emb) and torch.equal(found.std, expected.std)
