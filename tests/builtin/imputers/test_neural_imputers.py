"""What ``vae``, ``attention`` and ``iterative`` have in common."""

import pytest
import torch

from hcat_builtin.imputers.attention import AttentionImputer
from hcat_builtin.imputers.iterative import AdvancedIterativeImputer
from hcat_builtin.imputers.vae import MultiModalVAE
from hcat_core.interfaces import FitContext


def vae(layout, **parameters):
    return MultiModalVAE(layout, hidden=64, latent_dim=16, kl_warmup=20, **parameters)


def attention(layout, **parameters):
    return AttentionImputer(layout, hidden=64, dropout=0.0, **parameters)


def iterative(layout, **parameters):
    first = MultiModalVAE(layout, hidden=64, latent_dim=16)
    return AdvancedIterativeImputer(layout, first=first, hidden=64, **parameters)


neural = pytest.mark.parametrize("make", [vae, attention, iterative])


@neural
def test_the_loss_on_hidden_blocks_starts_above_zero_and_falls(make, patients):
    history = patients.losses(make(patients.layout), 90)
    for term in [t for t in history[0] if t == "hidden" or t.startswith("step_")]:
        start = sum(h[term] for h in history[:5]) / 5
        end = sum(h[term] for h in history[-20:]) / 20
        assert start > 0
        assert end < 0.95 * start, (term, start, end)


@neural
def test_the_loss_on_hidden_blocks_is_zero_where_no_block_can_be_hidden(make, patients):
    imputer = make(patients.layout).train()
    only_one = patients.train[patients.train.present.sum(dim=1) == 1]
    # No patient has a second block to hide: a loss on observed cells would not be zero here.
    losses = imputer(only_one).losses
    of_hidden = [term for name, term in losses.items() if name == "hidden" or name.startswith("step_")]
    assert all(float(term.value.detach()) == 0 for term in of_hidden)


@neural
def test_the_uncertainty_is_positive_and_differs_from_cell_to_cell(make, patients):
    imputer = make(patients.layout)
    patients.losses(imputer, 100)
    imputer.eval()
    imputation = imputer(patients.test)
    std = imputation.std[imputation.filled]
    assert std.min() > 0
    assert not torch.allclose(std, std[0].expand_as(std), rtol=0.05)


@neural
def test_a_frozen_imputer_is_pretrained_and_then_does_not_change(make, patients):
    imputer = make(patients.layout, fit_epochs=2, frozen=True)
    before = {k: v.clone() for k, v in imputer.state_dict().items()}
    imputer.fit(patients.train, patients.validation, FitContext(0))
    assert any(not torch.equal(before[k], v) for k, v in imputer.state_dict().items())
    trained = [p for p in imputer.parameters() if p.requires_grad]
    assert trained == [] or make is iterative
    imputer.train()
    assert imputer(patients.train[slice(0, 16)]).losses == {}
