"""Correcting any imputer by a network: what a third-party imputer may rely on."""

import pytest
import torch
from torch import nn

from hcat_core.imputation import correction_training
from hcat_core.imputation.corrected import CorrectedImputer
from hcat_core.imputation.hidden_blocks import leave_one_block_out
from hcat_core.imputation.networks import ModalityDecoder, MultiScaleEncoder
from hcat_core.imputation.pretraining import Pretraining, hidden_block_crps
from hcat_core.imputation.zero_gate import Proposal, ZeroGate
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.testing.cohorts import random_cohort

COHORT = random_cohort(600, gaps=0.02).without_targets()
TRAIN, VALIDATION, TEST = COHORT[slice(0, 400)], COHORT[slice(400, 500)], COHORT[slice(500, 600)]


class TrainingMean:
    """Mean and standard deviation of the training patients."""

    def __init__(self, layout):
        self.cells = layout.cells
        self.mean = torch.zeros(self.cells.shape)

    def fit(self, train, validation, context):
        self.mean = train.emb.sum(dim=0) / train.measured.sum(dim=0).clamp(min=1)

    def __call__(self, batch):
        filled = ~batch.measured & self.cells
        return Imputation(torch.where(filled, self.mean, batch.emb), filled * 0.9, filled)

    def state_dict(self):
        return {"mean": self.mean}

    def load_state_dict(self, state):
        self.mean = state["mean"]


class Mixer(nn.Module):
    """All tokens together, and back to each modality."""

    uses_current = False

    def __init__(self, layout, hidden):
        super().__init__()
        m = len(layout.widths)
        self.encoder = MultiScaleEncoder(layout, hidden)
        self.mix = nn.Sequential(nn.Linear(m * hidden, hidden), nn.GELU())
        self.decoder = ModalityDecoder(layout, hidden, zero=True)
        self.unexplained = nn.Linear(hidden, m)

    def forward(self, batch, current):
        tokens = self.encoder(batch) * batch.present.unsqueeze(-1)
        mixed = self.mix(tokens.flatten(1))
        decoded = self.decoder(mixed.unsqueeze(1).expand_as(tokens))
        return Proposal(decoded, torch.sigmoid(self.unexplained(mixed)))


def made(epochs=20, lr=5e-3, frozen=True):
    torch.manual_seed(0)
    settings = Pretraining(epochs=epochs, lr=lr, frozen=frozen)
    imputer = CorrectedImputer(COHORT.layout, TrainingMean(COHORT.layout), settings)
    imputer.add_network(Mixer(imputer.axes.layout, 16))
    return imputer


def test_it_learns_what_the_start_does_not_know():
    imputer, messages = made(), []
    imputer.fit(TRAIN, VALIDATION, FitContext(0, progress=messages.append))
    assert hidden_block_crps(imputer, TEST) < 0.95 * hidden_block_crps(imputer.start, TEST)
    assert "CorrectedImputer: CRPS" in messages[-1]


def test_the_spread_shrinks_where_the_error_does():
    imputer = made()
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    found = imputer(TEST)
    assert float(found.std[found.filled].mean()) < 0.95 * float(
        imputer.start(TEST).std[found.filled].mean()
    )
    drawn = found.draw(400, torch.Generator().manual_seed(0))
    ratio = drawn.std(dim=0)[found.filled] / found.std[found.filled]
    assert 0.95 < float(ratio.median()) < 1.05


def test_a_training_that_diverges_leaves_the_start():
    imputer = made(epochs=4, lr=1e4)
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    torch.testing.assert_close(imputer(TEST).emb, imputer.start(TEST).emb)


def test_the_state_holds_the_tensors_of_a_start_that_is_no_network():
    imputer, fresh = made(epochs=3), made()
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    fresh.load_state_dict(imputer.state_dict())
    assert torch.equal(fresh.eval()(TEST).emb, imputer(TEST).emb)
    assert "start.mean" in imputer.state_dict()


def test_a_patient_is_imputed_alone_as_among_others():
    imputer = made(epochs=5)
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    alone = imputer(TEST[slice(7, 8)])
    torch.testing.assert_close(alone.emb, imputer(TEST).emb[7:8], rtol=0, atol=1e-5)


def test_an_open_gate_moves_mean_and_variance_by_its_weight():
    imputer = made(epochs=0)
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    axes, gate = imputer.axes, ZeroGate(3)
    mean, std = torch.zeros_like(TEST.emb), torch.ones_like(TEST.emb)
    shape = (len(TEST), 3, axes.deviation.shape[1])
    proposal = Proposal(torch.ones(shape), torch.full(shape[:2], 0.5))
    whole = axes.cells(torch.ones(shape))
    for weight in (0.0, 0.5, 1.0):
        with torch.no_grad():
            gate.weight.fill_(weight)
        moved, spread = gate(axes, mean, std, proposal)
        torch.testing.assert_close(moved, weight * whole)
        variance = (1 - weight) + weight * axes.variance(proposal.unexplained)
        torch.testing.assert_close(spread, variance.clamp_min(1e-8).sqrt())


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_tokens_of_blocks_with_gaps_are_close_to_those_without(share):
    imputer = made(epochs=0)
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    complete = imputer.axes.reduce(TEST).cohort.emb
    gaps = torch.rand(TEST.measured.shape, generator=torch.Generator().manual_seed(1)) < share
    gaps[:, :, 0] = False
    with_gaps = TEST.__class__(**{**TEST.__dict__, "measured": TEST.measured & ~gaps})
    found = imputer.axes.reduce(with_gaps).cohort.emb
    first = torch.stack([found[TEST.present][:, 0], complete[TEST.present][:, 0]])
    assert float(torch.corrcoef(first)[0, 1]) > (0.999 if share == 0 else 0.85)


def test_a_correction_moves_the_tokens_of_every_absent_modality_by_its_own_gate():
    gate = ZeroGate(3)
    with torch.no_grad():
        gate.weight.copy_(torch.tensor([0.5, 0.0, 1.0]))
    absent = torch.tensor([[True, True, False], [False, True, True]])
    current, proposed = torch.zeros(2, 3, 4), torch.ones(2, 3, 4)
    moved = gate.move_tokens(absent, current, Proposal(proposed, torch.ones(2, 3)))
    assert moved[:, :, 0].tolist() == [[0.5, 0.0, 0.0], [0.0, 0.0, 1.0]]


def test_judged_blocks_of_a_later_network_are_filled_as_the_imputer_fills_them():
    """Where the hidden modality is not the only missing one, the others are corrected too."""
    imputer = made(epochs=0)
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    gate = imputer.gates[0]
    with torch.no_grad():
        gate.weight.fill_(0.7)
    (network, _) = imputer.corrections()[0]
    blocks = correction_training._judged_blocks(imputer.start, imputer.axes, VALIDATION)
    training = correction_training._Training(imputer.axes, network, gate, blocks)
    hidden = leave_one_block_out(VALIDATION)
    for block, one in zip(training.corrected(), hidden, strict=True):
        with torch.no_grad():
            imputation = imputer(one.cohort)
        expected = imputer.axes.current(block.reduced.cohort, imputation.emb)
        assert (one.cohort.present.sum(dim=1) < 2).any()
        torch.testing.assert_close(block.current, expected, atol=1e-4, rtol=1e-4)


def test_its_form_for_tracing_gives_the_same_imputation():
    imputer = made(epochs=0)
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    torch.nn.init.normal_(imputer.networks[0].decoder.map.weight)
    with torch.no_grad():
        for open_gates in ([0.0, 0.0, 0.0], [0.0, 0.4, 1.0]):
            imputer.gates[0].weight.copy_(torch.tensor(open_gates))
            expected, found = imputer(TEST), imputer.traceable()(TEST)
            for one, other in ((found.emb, expected.emb), (found.std, expected.std)):
                torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    missing = ~TEST.present
    assert (expected.emb - imputer.start(TEST).emb)[missing].abs().max() > 0.1  # corrections count
