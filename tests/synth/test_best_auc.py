from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from hcat_core.synth.best_auc import best_auc, expected_auc
from hcat_core.synth.generator import SynthSpec, generate, preset_spec, with_interactions
from hcat_core.synth.oracle import factor_posterior

WIDTHS = dict.fromkeys("abcde", 40)


def test_the_expected_auc_is_the_mean_auc_over_drawn_events():
    rng = np.random.default_rng(0)
    score = np.round(rng.standard_normal(400), 1)  # with ties
    probability = 1 / (1 + np.exp(-score - rng.standard_normal(400)))
    drawn = [roc_auc_score(rng.random(400) < probability, score) for _ in range(400)]
    error = np.std(drawn) / np.sqrt(400)
    assert abs(expected_auc(score, probability) - np.mean(drawn)) < 4 * error + 1e-3


@pytest.mark.parametrize("mechanism", ["mcar", "mnar"])
def test_a_higher_missing_rate_lowers_the_best_auc_from_measured_cells_and_not_that_of_the_truth(mechanism):
    few, many = (
        best_auc(generate(SynthSpec(patients=800, widths=WIDTHS, missing_rate=rate, mechanism=mechanism)))
        for rate in (0.1, 0.8)
    )
    for a, b in zip(few, many, strict=True):
        assert 0.6 < b.measured < a.measured < a.truth == b.truth < 1


def test_no_score_of_the_measured_cells_has_a_higher_auc():
    cohort = generate(SynthSpec(patients=3000, widths=WIDTHS, missing_rate=0.5))
    missing = cohort.missingness
    seen = np.where(missing.present[:, :, None] & ~missing.gaps, cohort.complete, 0).reshape(3000, -1)
    design = np.c_[np.ones(3000), seen]
    train, test = slice(0, 2000), slice(2000, 3000)
    for task, best in enumerate(best_auc(cohort)):
        risk = np.log(cohort.outcomes.probability[:, task])
        weights = np.linalg.solve(
            design[train].T @ design[train] + 30 * np.eye(design.shape[1]), design[train].T @ risk[train]
        )
        reached = expected_auc(design[test] @ weights, cohort.outcomes.probability[test, task])
        assert 0.6 < reached < best.measured + 0.01


def test_a_constant_score_has_an_auc_of_one_half_also_with_few_patients():
    assert expected_auc(np.zeros(3), np.array([0.1, 0.5, 0.9])) == pytest.approx(0.5)


@pytest.mark.parametrize("mechanism", ["mcar", "mnar"])
def test_noise_blocks_count_as_not_measured(mechanism):
    spec = SynthSpec(patients=800, widths=WIDTHS, mechanism=mechanism, gap_rate=0.0)
    sound, noisy = (best_auc(generate(replace(spec, noise_blocks=share))) for share in (0.0, 0.7))
    for a, b in zip(sound, noisy, strict=True):
        assert 0.55 < b.measured < a.measured - 0.01
        assert b.truth == a.truth


@pytest.mark.parametrize("preset", ["demo", "linear", "nonlinear"])
def test_the_best_auc_of_interactions_is_about_four_fifths(preset):
    for task in best_auc(generate(with_interactions(preset_spec(preset, patients=800, width=64)))):
        assert 0.75 < task.measured < 0.85 < task.truth


@pytest.mark.slow
def test_linear_models_and_forests_get_little_of_interactions_and_products_of_factors_most():
    cohort = generate(with_interactions(preset_spec("demo", patients=5000, width=64)))
    measured = np.where(cohort.measured, cohort.recorded.cells, 0)
    posterior = factor_posterior(cohort.parameters, cohort.complete, cohort.measured)
    private = np.einsum("nk,nkr->nr", posterior.responsibility, posterior.mean)[:, cohort.spec.shared :]
    pairs = [private[:, a] * private[:, b] for a in range(5) for b in range(a)]
    shares = {}
    cells, products = measured.reshape(5000, -1), np.stack(pairs, axis=1)
    models = {
        "linear": (cells, LogisticRegression(C=0.003, max_iter=300)),
        "forest": (cells, RandomForestClassifier(60, min_samples_leaf=5, random_state=0)),
        "products": (products, LogisticRegression(max_iter=300)),
    }
    for name, (x, model) in models.items():
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        for task, best in enumerate(best_auc(cohort)):
            labels = cohort.outcomes.labels[:, task]
            train = np.flatnonzero(labels[:3500] >= 0)
            score = model.fit(x[train], labels[train]).predict_proba(x[3500:])[:, 1]
            auc = expected_auc(score, cohort.outcomes.probability[3500:, task])
            shares[name, task] = (auc - 0.5) / (best.measured - 0.5)
    assert max(shares[name, task] for name in ("linear", "forest") for task in (0, 1)) < 0.6
    assert min(shares["products", 0], shares["products", 1]) > 0.85
