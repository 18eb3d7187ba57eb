"""What one step of training moves, and how far."""

import torch

from hcat_builtin.fusions.enhanced_hcat import EnhancedHCAT
from hcat_builtin.heads.binary import BinaryHead
from hcat_builtin.imputers.vae import MultiModalVAE
from hcat_builtin.losses.imputer_losses import ImputationLoss
from hcat_core.imputation.conformal import Calibrated
from hcat_core.interfaces import FitContext
from hcat_core.recipe.build import WeightedLoss
from hcat_core.recipe.schema import TrainingTable
from hcat_core.testing.cohorts import random_cohort
from hcat_core.training.model import HcatModel
from hcat_core.training.step import TotalLoss, build_optimiser, training_step

COHORT = random_cohort(60)


def model_with_learning_imputer():
    layout = COHORT.layout
    torch.manual_seed(0)
    imputer = MultiModalVAE(
        layout, latent_dim=4, hidden=8, n_heads=2, rank=2, components=1, fit_epochs=0, frozen=False
    )
    imputer.fit(COHORT, COHORT[slice(0, 0)], FitContext(0))
    fusion = EnhancedHCAT(layout, d_model=16, n_heads=2, n_global_layers=1)
    heads = {task: BinaryHead(layout, task, 16) for task in layout.task_names}
    return HcatModel(layout, Calibrated(layout, imputer), fusion, heads, {t: t for t in layout.task_names})


def test_gates_of_an_imputers_corrections_learn_at_the_rate_of_gates():
    model = model_with_learning_imputer()
    (gate,) = model.imputer.inner.gates
    optimiser = build_optimiser(model, TrainingTable(lr=5e-5, gate_lr=0.02))
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert rates[id(gate.weight)] == 0.02
    assert sorted(set(rates.values())) == [5e-5, 0.02]
    assert len(rates) == sum(len(group["params"]) for group in optimiser.param_groups)


def test_gates_of_an_imputers_corrections_stay_between_closed_and_open():
    model = model_with_learning_imputer()
    (gate,) = model.imputer.inner.gates
    settings = TrainingTable(gate_lr=0.9)
    losses = [WeightedLoss("imputation", 1.0, ImputationLoss(COHORT.layout))]
    total, optimiser = TotalLoss(model.train(), losses, settings), build_optimiser(model, settings)
    before, seen = gate.weight.detach().clone(), []
    for _ in range(6):
        training_step(total, COHORT, optimiser, settings.grad_clip)
        seen.append(gate.weight.detach().clone())
    assert all(((0 <= weight) & (weight <= 1)).all() for weight in seen)
    assert any((weight != before).any() for weight in seen)
