"""What the best of several recipes is worth, after it was chosen for being best."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.experiments.compare_recipes.selection import select_best
from hcat_core.testing.cohorts import random_cohort

PATIENTS, RECIPES, FOLDS = 416, 15, 5
COHORT = random_cohort(PATIENTS)


def cohort_of(labels, groups=None):
    """A cohort with these (N,) outcomes of one task."""
    assert COHORT.targets is not None
    targets = replace(COHORT.targets[: len(labels)], labels=torch.tensor(labels[:, None], dtype=torch.int8))
    layout = replace(COHORT.layout, tasks=COHORT.layout.tasks[:1])
    return replace(COHORT[: len(labels)], layout=layout, targets=targets, groups=groups)


def results_of(scores, weights=None):
    """Fold results of recipes "0", "1", ... from (K, N) scores of patients, every fifth one in a fold."""
    probability = 1 / (1 + np.exp(-scores))
    weights = np.ones(scores.shape[1]) if weights is None else weights
    results = []
    for fold in range(FOLDS):
        rows = np.arange(fold, scores.shape[1], FOLDS)
        for name, p in enumerate(probability):
            one = FoldScores({}, rows.tolist(), p[rows].tolist(), weights[rows].tolist())
            results.append(FoldResult(str(name), 0, fold, {"survival": one}))
    return results


def names(count):
    return [str(name) for name in range(count)]


def simulate(cohorts, true_auc):
    """Errors (cohorts, 2) of the winner's apparent and corrected AUC, and the interval's coverage."""
    rng = np.random.default_rng(0)
    shift = np.sqrt(2) * norm.ppf(true_auc)
    errors, held = [], 0
    for seed in range(cohorts):
        labels = (rng.random(PATIENTS) < 0.4).astype(int)
        # Half of each recipe's noise is a patient's own, the same for all recipes.
        noise = rng.normal(size=PATIENTS) + rng.normal(size=(RECIPES, PATIENTS))
        scores = noise / np.sqrt(2) + labels * shift[:, None]
        chosen = select_best(
            results_of(scores), names(RECIPES), cohort_of(labels), resamples=100, seed=seed
        )
        truth = true_auc[int(chosen.winner)]
        errors.append((chosen.score.apparent - truth, chosen.score.corrected - truth))
        held += chosen.score.corrected_95[0] <= truth <= chosen.score.corrected_95[1]
    return np.array(errors), held / cohorts


def test_the_best_of_fifteen_equal_recipes_looks_too_good_and_its_corrected_auc_is_right():
    errors, held = simulate(60, np.full(RECIPES, 0.7))
    apparent, corrected = errors.mean(axis=0)
    noise = errors.std(axis=0, ddof=1) / np.sqrt(len(errors))
    assert apparent > 0.02
    assert abs(corrected) < 0.005 + 2 * noise[1]
    assert held > 0.9


def test_a_recipe_that_is_far_better_needs_no_correction():
    errors, held = simulate(30, np.r_[0.8, np.full(RECIPES - 1, 0.65)])
    noise = errors.std(axis=0, ddof=1) / np.sqrt(len(errors))
    assert (np.abs(errors.mean(axis=0)) < 2.5 * noise).all()
    assert np.abs(errors[:, 0] - errors[:, 1]).max() < 0.01
    assert held > 0.9


def test_the_apparent_auc_is_the_mean_of_the_folds_weighted_for_censoring():
    rng = np.random.default_rng(1)
    labels = rng.integers(-1, 2, 200)
    scores = np.round(rng.normal(size=(2, 200)) + labels, 1)  # with ties
    weights = np.where(labels >= 0, rng.uniform(1, 4, 200), 0)
    chosen = select_best(results_of(scores, weights), names(2), cohort_of(labels))
    best = int(chosen.winner)
    by_fold = []
    for fold in range(FOLDS):
        rows = np.array([row for row in range(fold, 200, FOLDS) if labels[row] >= 0])
        by_fold.append(roc_auc_score(labels[rows], scores[best, rows], sample_weight=weights[rows]))
    assert chosen.score.apparent == pytest.approx(np.mean(by_fold))
    assert chosen.score == chosen.tasks["survival"]


def test_models_of_different_folds_are_not_ranked_against_each_other():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 100)
    scores = rng.normal(size=(2, 100)) + labels
    shifted = scores + 0.5 * (np.arange(100) % FOLDS)  # another calibration in each fold
    cohort = cohort_of(labels)
    before, after = (select_best(results_of(s), names(2), cohort) for s in (scores, shifted))
    assert before.score.corrected == pytest.approx(after.score.corrected)


def test_records_of_one_patient_are_drawn_together():
    rng = np.random.default_rng(3)
    patients = np.repeat(np.arange(60), 3)
    labels = rng.integers(0, 2, 60)[patients]
    scores = (rng.normal(size=(2, 60)) * 1.5)[:, patients] + labels
    # A record's fold is that of its patient.
    order = np.argsort(np.arange(180) // 3 % FOLDS, kind="stable").reshape(FOLDS, 36).T.ravel()
    labels, scores, groups = labels[order], scores[:, order], tuple(f"g{patients[row]}" for row in order)
    width = []
    for cohort in (cohort_of(labels), cohort_of(labels, groups)):
        low, high = select_best(results_of(scores), names(2), cohort).score.corrected_95
        width.append(high - low)
    assert width[1] > 1.4 * width[0]


def test_a_recipe_that_failed_on_a_fold_is_no_candidate():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 100)
    results = results_of(rng.normal(size=(3, 100)) + labels * np.array([[1], [1], [9]]))
    results[2] = FoldResult("2", 0, 0, {}, error="not fitted")
    chosen = select_best(results, names(3), cohort_of(labels))
    assert chosen.candidates == ("0", "1") and chosen.winner != "2"
    assert select_best(results, ["0", "2"], cohort_of(labels)) is None


def test_the_winner_has_the_highest_mean_of_tasks():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, (200, 2))
    targets = replace(COHORT.targets[:200], labels=torch.tensor(labels, dtype=torch.int8))
    cohort = replace(COHORT[:200], targets=targets)
    noise = rng.normal(size=(2, 200))
    first = results_of(noise + labels[:, 0] * np.array([[3.0], [1.5]]))
    second = results_of(noise + labels[:, 1] * np.array([[0.0], [1.5]]))
    results = [
        replace(a, tasks={"survival": a.tasks["survival"], "recurrence": b.tasks["survival"]})
        for a, b in zip(first, second, strict=True)
    ]
    chosen = select_best(results, names(2), cohort)
    assert chosen.winner == "1" and set(chosen.tasks) == {"survival", "recurrence"}
    mean = np.mean([one.corrected for one in chosen.tasks.values()])
    assert chosen.score.corrected == pytest.approx(mean)
