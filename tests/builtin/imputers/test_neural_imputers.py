import pytest
import torch

from hcat_builtin.imputers.attention import AttentionImputer
from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_builtin.imputers.iterative import AdvancedIterativeImputer
from hcat_builtin.imputers.mean import MeanImputer
from hcat_builtin.imputers.vae import MultiModalVAE
from hcat_core.interfaces import FitContext
from hcat_core.registry.catalog import load_catalog
from hcat_core.testing.checks import subject_of

COHORT = subject_of(load_catalog(), "imputer", "mean").cohort.without_targets()
TRAIN, VALIDATION, TEST = COHORT[slice(0, 320)], COHORT[slice(320, 420)], COHORT[slice(420, 520)]
LAYOUT = COHORT.layout
MAKERS = {
    "vae": lambda **k: MultiModalVAE(LAYOUT, hidden=64, latent_dim=16, kl_warmup=20, **k),
    "attention": lambda **k: AttentionImputer(LAYOUT, hidden=64, dropout=0.0, **k),
    "iterative": lambda **k: AdvancedIterativeImputer(
        LAYOUT, first=MultiModalVAE(LAYOUT, hidden=64, latent_dim=16), hidden=64, **k
    ),
}


def train(imputer, steps):
    """Losses by name, step by step."""
    torch.manual_seed(0)
    optimiser = torch.optim.Adam([p for p in imputer.parameters() if p.requires_grad], lr=2e-3)
    imputer.train()
    history = []
    for _ in range(steps):
        losses = imputer(TRAIN[torch.randperm(len(TRAIN))[:64]]).losses
        optimiser.zero_grad()
        torch.stack([term.value for term in losses.values()]).sum().backward()
        optimiser.step()
        history.append({name: float(term.value.detach()) for name, term in losses.items()})
    return history


@pytest.mark.parametrize("name", MAKERS)
def test_trap_2_the_self_supervised_loss_is_on_hidden_blocks_starts_above_zero_and_falls(name):
    history = train(MAKERS[name](), 90)
    for term in [t for t in history[0] if t == "hidden" or t.startswith("step_")]:
        start = sum(h[term] for h in history[:5]) / 5
        end = sum(h[term] for h in history[-20:]) / 20
        assert start > 0
        assert end < 0.95 * start, (term, start, end)


@pytest.mark.parametrize("name", MAKERS)
def test_trap_2_the_loss_is_taken_where_the_truth_was_hidden_and_nowhere_else(name):
    imputer = MAKERS[name]().train()
    only_one = TRAIN[TRAIN.present.sum(dim=1) == 1]
    # Nobody has a second block to hide: a loss on observed cells would not be zero here.
    losses = imputer(only_one).losses
    of_hidden = [term for name, term in losses.items() if name == "hidden" or name.startswith("step_")]
    assert all(float(term.value.detach()) == 0 for term in of_hidden)


def test_the_kl_does_not_collapse_to_zero():
    imputer = MultiModalVAE(LAYOUT, hidden=64, latent_dim=16, kl_warmup=20)
    history = train(imputer, 200)
    cells = float(TRAIN.measured.sum() / len(TRAIN))
    nats = sum(h["kl"] for h in history[-20:]) / 20 * cells
    assert nats > 2.0  # per patient: the latent speaks


@pytest.mark.parametrize("name", MAKERS)
def test_trap_3_the_uncertainty_is_trained_by_likelihood_and_tells_easy_from_hard(name):
    imputer = MAKERS[name]()
    train(imputer, 100)
    imputer.eval()
    found = imputer(TEST)
    std = found.std[found.filled]
    assert std.min() > 0
    assert not torch.allclose(std, std[0].expand_as(std), rtol=0.05)


def test_an_untrained_refinement_is_the_first_imputer():
    first = MeanImputer(LAYOUT)
    imputer = AdvancedIterativeImputer(LAYOUT, first=first).eval()
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    one, two = imputer(TEST), first(TEST)
    torch.testing.assert_close(one.emb, two.emb)
    torch.testing.assert_close(one.std, two.std)


def test_a_refinement_that_does_not_help_is_undone():
    first = GaussianImputer(LAYOUT, rank=8, components=1)
    imputer = AdvancedIterativeImputer(LAYOUT, first=first, fit_epochs=8, lr=0.5)
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    torch.testing.assert_close(imputer(TEST).emb, first(TEST).emb)


def test_refinements_change_missing_cells_only_and_step_by_step():
    imputer = MAKERS["iterative"]()
    train(imputer, 60)
    imputer.eval()
    found = imputer(TEST)
    assert torch.equal(found.emb[TEST.measured], TEST.emb[TEST.measured])
    assert not torch.allclose(found.emb, imputer.first(TEST).emb)
    confidence = imputer.confidences(TEST)
    assert confidence.shape == (3, len(TEST), 4)
    assert ((confidence > 0) & (confidence < 1)).all()


@pytest.mark.parametrize("name", MAKERS)
def test_a_frozen_imputer_is_fitted_first_and_then_left_alone(name):
    imputer = MAKERS[name](fit_epochs=2, frozen=True)
    before = {k: v.clone() for k, v in imputer.state_dict().items()}
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    assert any(not torch.equal(before[k], v) for k, v in imputer.state_dict().items())
    own = [p for p in imputer.parameters() if p.requires_grad]
    assert own == [] or name == "iterative"
    imputer.train()
    assert imputer(TRAIN[slice(0, 16)]).losses == {}


def test_a_fitted_imputer_may_go_on_learning_with_the_predictor():
    imputer = MAKERS["vae"](fit_epochs=1)
    imputer.fit(TRAIN, VALIDATION, FitContext(0))
    assert all(p.requires_grad for p in imputer.parameters())
    imputer.train()
    assert set(imputer(TRAIN[slice(0, 16)]).losses) == {"kl", "reconstruction", "hidden"}
