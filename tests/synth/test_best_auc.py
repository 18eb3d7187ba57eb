import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hcat_core.synth.best_auc import best_auc, expected_auc
from hcat_core.synth.generator import SynthSpec, generate

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
