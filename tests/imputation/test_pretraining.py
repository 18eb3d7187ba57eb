"""Pre-training of any network on hidden blocks: what a third-party imputer may rely on."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hcat_core.imputation.gaussian_likelihood import negative_log_likelihood
from hcat_core.imputation.hidden_blocks import hide_at_random
from hcat_core.imputation.networks import ModalityDecoder, MultiScaleEncoder, modality_attention
from hcat_core.imputation.pretraining import (
    Pretraining,
    hidden_block_crps,
    patients_to_choose_by,
    pretrain,
    trainable_parameters,
)
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.testing.cohorts import random_cohort

COHORT = random_cohort(300, gaps=0).without_targets()
TRAIN, VALIDATION = COHORT[slice(0, 200)], COHORT[slice(200, 300)]


class SmallImputer(nn.Module):
    """Encoder, attention and decoders; it starts at mean 0 and std 1."""

    def __init__(self, layout, pretraining):
        super().__init__()
        self.cells = layout.cells
        self.pretraining = pretraining
        self.encoder = MultiScaleEncoder(layout, 16)
        self.attention = modality_attention(16, 2)
        self.mean = ModalityDecoder(layout, 16, zero=True)
        self.log_std = ModalityDecoder(layout, 16, zero=True)

    def fit(self, train, validation, context):
        pretrain(self, train, validation, context, self.pretraining)

    def predict(self, batch):
        tokens = self.attention(self.encoder(batch), src_key_padding_mask=~batch.present)
        return self.mean(tokens), self.log_std(tokens)

    def forward(self, batch):
        losses = {}
        if self.training:
            masked, hide = hide_at_random(batch)
            where = batch.measured & hide.unsqueeze(-1)
            losses["hidden"] = negative_log_likelihood(batch.emb, *self.predict(masked), where)
        mean, log_std = self.predict(batch)
        filled = ~batch.measured & self.cells
        emb = torch.where(filled, mean, batch.emb)
        return Imputation(emb, torch.where(filled, log_std.exp(), 0.0), filled, losses)


def made(epochs=5, lr=5e-3, frozen=False):
    torch.manual_seed(0)
    return SmallImputer(COHORT.layout, Pretraining(epochs=epochs, lr=lr, frozen=frozen))


def test_a_zero_decoder_starts_as_mean_and_standard_deviation_of_standardised_cells():
    imputation = made().eval()(VALIDATION)
    assert (imputation.emb[imputation.filled] == 0).all() and (imputation.std[imputation.filled] == 1).all()


def test_pretraining_imputes_hidden_blocks_better():
    imputer, messages = made(epochs=10), []
    before = hidden_block_crps(imputer, VALIDATION)
    imputer.fit(TRAIN, VALIDATION, FitContext(0, progress=messages.append))
    after = hidden_block_crps(imputer, VALIDATION)
    assert after < before
    assert messages == [f"SmallImputer: CRPS {after:.4f} on hidden blocks"]


def test_pretraining_that_does_not_help_is_undone():
    imputer = made(epochs=2, lr=1e6)
    before = {name: tensor.clone() for name, tensor in imputer.state_dict().items()}
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    assert all(torch.equal(before[name], tensor) for name, tensor in imputer.state_dict().items())


def test_zero_epochs_train_nothing():
    imputer = made(epochs=0, frozen=True)
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    assert all(parameter.requires_grad for parameter in imputer.parameters())


@pytest.mark.parametrize("frozen", [True, False])
def test_weights_are_frozen_afterwards_where_the_settings_ask_for_it(frozen):
    imputer = made(epochs=1, frozen=frozen)
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    assert all(parameter.requires_grad is not frozen for parameter in imputer.parameters())


def test_a_frozen_imputer_nested_in_another_is_not_trained():
    outer = made()
    outer.nested = made(frozen=True)
    names = {id(parameter): name for name, parameter in outer.named_parameters()}
    trained = {names[id(parameter)] for parameter in trainable_parameters(outer)}
    assert trained == {name for name in names.values() if not name.startswith("nested.")}


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(11)
    expected = torch.get_rng_state()
    states = []
    for _ in range(2):
        imputer = made(epochs=2)
        torch.set_rng_state(expected)
        imputer.fit(TRAIN, VALIDATION, FitContext(3))
        assert torch.equal(torch.get_rng_state(), expected)
        states.append(imputer.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_without_two_modalities_there_is_no_crps():
    alone = VALIDATION[VALIDATION.present.sum(dim=1) == 1]
    assert torch.tensor(hidden_block_crps(made(), alone)).isnan()


def test_the_negative_log_likelihood_is_that_of_the_normal_distribution():
    truth, mean, log_std = torch.randn(3, 4, 2, 5)
    where = torch.rand(4, 2, 5) < 0.5
    expected = -torch.distributions.Normal(mean, log_std.exp()).log_prob(truth)[where].mean()
    loss = negative_log_likelihood(truth, mean, log_std, where)
    torch.testing.assert_close(loss.value, expected)
    assert int(loss.count) == int(where.sum())


def test_patients_to_choose_by_do_not_share_a_group_with_those_to_learn_from():
    cohort = random_cohort(200)
    grouped = replace(cohort, groups=tuple(f"g{number % 40}" for number in range(200)))
    learn, judges = patients_to_choose_by(grouped, grouped[slice(0, 0)], seed=1)
    assert not set(learn.groups) & set(judges.groups)
    assert len(learn) + len(judges) == 200 and 40 <= len(judges) <= 45
