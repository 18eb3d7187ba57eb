"""Gates start where they make outcomes the most likely: closed on blocks of noise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from hcat_builtin.estimators.evidence import EvidenceEstimator
from hcat_core.data.standardisation import Standardiser
from hcat_core.interfaces import Fused
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import generate
from hcat_core.synth.spec import preset_spec, with_interactions
from hcat_core.training.context import TrainingContext
from hcat_core.training.evidence_start import SPREAD, _gates, fit_evidence, start_at_evidence
from hcat_core.training.inference import single_pass
from hcat_core.training.model import add_evidence
from hcat_core.training.neural_parts import NeuralParts
from hcat_core.training.neural_training import fit_imputer_and_heads

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = ("imputer.use=mean", "fusion.d_model=16", "fusion.n_heads=2")


def noisy_cohort(seed, noise_blocks=0.4, patients=2400):
    """40 % of the blocks are noise, and of low quality."""
    spec = preset_spec("demo", patients=patients, width=12, seed=seed)
    return to_cohort(generate(replace(spec, noise_blocks=noise_blocks)))


def started(training, *sets, pairs=0):
    """A model at its start, and its contexts."""
    catalog = load_catalog()
    recipe, _ = load_recipe(RECIPES / "hancock.toml", catalog, sets=[*SMALL, *sets])
    context = TrainingContext(0, parts=NeuralParts(recipe, catalog))
    torch.manual_seed(0)
    evidence = EvidenceEstimator(training.layout, trees=0, pairs=pairs)
    model = context.parts.build_model(training.layout, evidence)
    fit_imputer_and_heads(model, training, training, context)
    return model, context, start_at_evidence(model, training, context)


def split(cohort, training):
    statistics = Standardiser.fit(cohort[slice(0, training)])
    standard = statistics.apply(cohort)
    return standard[slice(0, training)], standard[slice(training, len(cohort))]


@pytest.mark.slow
def test_gates_close_on_blocks_of_noise_and_the_prediction_is_better_for_it():
    gains, closed, open_ = [], [], []
    for seed in range(3):
        training, test = split(noisy_cohort(seed), 1600)
        scores = {}
        for gates in ("true", "false"):
            model, _, _ = started(training, f"fusion.gates={gates}")
            found = single_pass(model, test, torch.device("cpu"))
            scores[gates] = [
                roc_auc_score(label[label >= 0], found.prediction.probability[label >= 0, task])
                for task, label in enumerate(test.targets.labels.T.numpy())
            ]
            if gates == "true":
                noise = test.present & (test.quality < 0.5)
                closed.append(float(found.gates[noise].mean()))
                open_.append(float(found.gates[test.present & ~noise].mean()))
        gains.append(np.subtract(scores["true"], scores["false"]).mean())
    assert max(closed) < 0.3 and min(open_) > 0.8
    assert np.mean(gains) > 0.02 and min(gains) > 0


def test_without_noise_gates_stay_open_and_every_block_is_evidence():
    training, _ = split(noisy_cohort(0, noise_blocks=0.0, patients=400), 300)
    model, _, _ = started(training)
    gates = model.fusion.quality_gates(training.quality).detach()
    assert float(gates[training.present].mean()) > 0.8
    assert int(model.evidence_use.usable(training).present.sum()) > 0.95 * int(training.present.sum())


def test_blocks_without_which_the_evidence_says_less_stay_evidence(monkeypatch):
    """Alone, a modality says nothing of a risk of products; gates close on some of its blocks."""
    spec = with_interactions(preset_spec("demo", patients=1500, width=16, seed=0))
    training, _ = split(to_cohort(generate(spec)), 1050)
    fits = []
    fit = EvidenceEstimator.fit
    monkeypatch.setattr(
        EvidenceEstimator, "fit", lambda self, train, *rest: (fits.append(train), fit(self, train, *rest))
    )
    model, context, contributions = started(training, pairs=8)
    present = [int(train.present.sum()) for train in fits]
    assert len(fits) == 2 and present[1] < present[0]  # fitted again, and worse
    assert not model.evidence_use.least_quality.any()
    again = context.parts.build_model(training.layout, EvidenceEstimator(training.layout, trees=0))
    again.load(model.state())
    assert torch.equal(fit_evidence(again, training, context), contributions)


def test_a_training_that_goes_on_finds_the_same_contributions():
    training, _ = split(noisy_cohort(1, patients=900), 800)
    model, context, contributions = started(training)
    assert bool((model.evidence_use.least_quality > 0).any())
    again = context.parts.build_model(training.layout, EvidenceEstimator(training.layout, trees=0, pairs=0))
    again.load(model.state())
    assert torch.equal(fit_evidence(again, training, context), contributions)


def test_the_start_is_a_mode_no_other_factor_or_shift_is_more_likely():
    training, _ = split(noisy_cohort(0, patients=500), 400)
    model, _, contributions = started(training, "estimator.members=1")
    evidence = model.evidence_use.total(_gates(model.fusion, training.quality) * contributions)
    nothing = torch.zeros((len(training), model.fusion.width))
    fused = Fused(nothing, nothing.unsqueeze(1))

    def total(name, factor, shift):
        column = training.layout.task_names.index(model.tasks[name])
        own = model.evidence_use.factor[column]
        raw = add_evidence(model.heads[name], model.heads[name](fused), factor * evidence[:, column])
        terms = model.heads[name].log_likelihood(raw + shift, training.targets)
        prior = 0.5 * ((factor * own).log() / SPREAD).square()
        return float(terms[terms.isfinite()].double().sum() - prior)

    with torch.no_grad():
        for name in model.heads:
            at_start = total(name, torch.tensor(1.0), 0.0)
            for factor, shift in ((1.03, 0.0), (0.97, 0.0), (1.0, 0.05), (1.0, -0.05)):
                assert total(name, torch.tensor(factor), shift) < at_start + 0.01
