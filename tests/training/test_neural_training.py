"""What is fitted again once the weight of a correction has been chosen."""

from pathlib import Path

import torch

from hcat_builtin.estimators.evidence import EvidenceEstimator
from hcat_core.data.standardisation import Standardiser
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import generate
from hcat_core.synth.spec import preset_spec
from hcat_core.training.context import TrainingContext
from hcat_core.training.evidence_start import start_at_evidence
from hcat_core.training.inference import single_pass
from hcat_core.training.neural_parts import NeuralParts
from hcat_core.training.neural_training import TrainedMember, fit_imputer_and_heads, refit_baselines
from hcat_core.training.residual_weight import ResidualWeight, apply_residual_weights

RECIPE = Path(__file__).parents[2] / "recipes/ablations/head_cox.toml"
SMALL = ("imputer.use=mean", "fusion.d_model=16", "fusion.n_heads=2")


def test_without_a_correction_a_cox_head_predicts_what_it_did_at_the_start():
    """The baseline hazard belongs to the scores of all patients: scaled scores need another one."""
    cohort = to_cohort(generate(preset_spec("demo", patients=400, width=8)))
    nobody, device = cohort[slice(0, 0)], torch.device("cpu")
    catalog = load_catalog()
    recipe, _ = load_recipe(RECIPE, catalog, sets=SMALL)
    context = TrainingContext(0, parts=NeuralParts(recipe, catalog))
    torch.manual_seed(0)
    evidence = EvidenceEstimator(cohort.layout, trees=0, pairs=0)
    member = TrainedMember(Standardiser.fit(cohort), context.parts.build_model(cohort.layout, evidence))
    patients = member.standardiser.apply(cohort)
    fit_imputer_and_heads(member.model, patients, patients, context)
    start_at_evidence(member.model, patients, context)
    refit_baselines(member, cohort, nobody, context)
    start = single_pass(member.model, patients, device).prediction.probability

    for head in member.model.heads.values():  # a correction that the training has found
        torch.nn.init.normal_(head.mlp.last.weight)
    refit_baselines(member, cohort, nobody, context)
    assert abs(single_pass(member.model, patients, device).prediction.probability - start).max() > 0.1
    weights = {task.name: ResidualWeight(0.0, 0.0, 0.0, 0) for task in cohort.layout.tasks}
    apply_residual_weights(member, weights)
    refit_baselines(member, cohort, nobody, context)
    without = single_pass(member.model, patients, device).prediction.probability
    assert abs(without - start).max() < 1e-3
