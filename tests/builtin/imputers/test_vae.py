from hcat_builtin.imputers.vae import MultiModalVAE
from hcat_core.interfaces import FitContext


def test_the_latent_posterior_does_not_collapse_to_the_prior(patients):
    imputer = MultiModalVAE(patients.layout, hidden=64, latent_dim=16, kl_warmup=20, frozen=False, rank=4)
    imputer.axes.fit(patients.train, 0)
    history = patients.losses(imputer, 200)
    cells = float(patients.train.measured.sum() / len(patients.train))
    nats_per_patient = sum(h["kl"] for h in history[-20:]) / 20 * cells
    assert nats_per_patient > 2.0


def test_an_imputer_that_is_not_frozen_goes_on_learning_with_the_predictor(patients):
    imputer = MultiModalVAE(
        patients.layout, hidden=64, latent_dim=16, fit_epochs=1, frozen=False, rank=4, components=1
    )
    imputer.fit(patients.train, patients.validation, FitContext(0))
    assert all(p.requires_grad for p in imputer.parameters())
    imputer.train()
    losses = imputer(patients.train[slice(0, 16)]).losses
    assert set(losses) == {"kl", "reconstruction", "hidden", "result"}
