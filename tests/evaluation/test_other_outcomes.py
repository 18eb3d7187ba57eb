"""Scores of classes and numbers beside events: each outcome once, on the patients in whom it is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics

from hcat_core.evaluation.analysis import analyse_modalities, score_patterns
from hcat_core.evaluation.baselines import baseline_recipes
from hcat_core.evaluation.cohort_counts import count_others, count_outcomes
from hcat_core.evaluation.other_baselines import (
    FREQUENCIES,
    TRAINING_MEAN,
    best_other_baseline,
    compare_others,
    compare_references,
)
from hcat_core.evaluation.other_outcomes import score_others
from hcat_core.evaluation.outcome_selection import prediction_of_columns, with_columns
from hcat_core.evaluation.sample_size import check_sample_size, minimum_patients
from hcat_core.evaluation.scores import score_tasks
from hcat_core.recipe.recipe import load_recipe
from hcat_core.recipe.shipped import find_recipe
from hcat_core.registry.catalog import load_catalog


def test_each_outcome_is_scored_once_and_by_its_kind(mixed, predicted, settings):
    assert list(score_tasks(mixed, predicted(), settings)) == ["survival", "recurrence"]
    scores = score_others(mixed, predicted(), settings)
    assert list(scores) == ["subtype", "score"]
    subtype, score = scores["subtype"], scores["score"]
    columns = list(mixed.layout.outcome("subtype").columns)
    labels, p = mixed.targets.labels[:, columns].numpy(), predicted().probability[:, columns]
    assert subtype.auc == pytest.approx(metrics.roc_auc_score(labels.argmax(axis=1), p, multi_class="ovr"))
    assert list(subtype.by_class) == ["A", "B", "C"]
    for place, one in enumerate(subtype.by_class.values()):
        assert one.auc == pytest.approx(metrics.roc_auc_score(labels[:, place], p[:, place]))
    values = mixed.targets.values[:, -1].numpy()
    assert score.mae == pytest.approx(metrics.mean_absolute_error(values, predicted().values[:, -1]))
    assert score.r2 == pytest.approx(metrics.r2_score(values, predicted().values[:, -1]), abs=1e-6)
    assert score.coverage_90 == pytest.approx(0.9, abs=0.05) and score.unit == "points"


def test_the_document_has_the_kind_of_each_outcome_and_nothing_but_json(mixed, predicted, settings):
    document = {name: one.as_json() for name, one in score_others(mixed, predicted(), settings).items()}
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again["subtype"]["kind"] == "multiclass" and again["score"]["kind"] == "continuous"
    assert again["subtype"]["by_class"]["A"]["auc"] == document["subtype"]["by_class"]["A"].get("auc")


def test_patients_whose_outcome_is_unknown_do_not_count(mixed, predicted, settings, without):
    rows = np.arange(0, 300, 3)
    kept = np.setdiff1d(np.arange(300), rows)
    found = score_others(without(rows), predicted(), settings)
    alone = score_others(mixed[torch.from_numpy(kept)], predicted()[kept], settings)
    for outcome in ("subtype", "score"):
        assert found[outcome].patients == 200
    assert found["subtype"].log_loss == alone["subtype"].log_loss
    assert found["score"].mae == alone["score"].mae


def test_counts_are_by_class_and_describe_a_number(mixed, without):
    cohort = without(np.arange(10))
    assert list(count_outcomes(cohort)) == ["survival", "recurrence"]
    subtype, score = count_others(cohort).values()
    assert sum(subtype.classes.values()) == 290 and subtype.unknown == 10
    values = mixed.targets.values[10:, -1].double().numpy()
    assert (score.known, score.unknown, score.unit) == (290, 10, "points")
    assert score.mean == pytest.approx(values.mean()) and score.highest == pytest.approx(values.max())


def test_every_outcome_has_its_sample_size(mixed):
    sizes = {size.task: size for size in check_sample_size(mixed)}
    assert list(sizes) == ["survival", "recurrence", "subtype", "score"]
    assert sizes["score"].patients_needed == 234 + 2 and sizes["score"].enough
    subtype = sizes["subtype"]
    needed = [minimum_patients(count / 300, 2) for count in subtype.classes.values()]
    assert subtype.patients_needed == max(needed) and subtype.rarest_class == min(subtype.classes.values())
    few = {size.task: size for size in check_sample_size(mixed[:30])}
    assert not few["score"].enough and "will not be reliable" in few["score"].message
    assert not few["subtype"].enough and "30 patients with a known class" in few["subtype"].message


def test_patterns_and_subsets_hold_every_outcome(mixed, predicted, settings):
    patterns = score_patterns(mixed, predicted(), settings)
    assert sum(one.others["score"].patients for one in patterns) == 300
    assert all("other_outcomes" in one.as_json() for one in patterns)
    base = np.full(len(mixed.layout.tasks), 0.3)

    def predict(cohort):
        """Each modality moves class A, and the score, by its first cell."""
        z = cohort.emb[:, :, 0].double().numpy()
        a = 1 / (1 + np.exp(-z.sum(axis=1)))
        of_events = np.full((len(z), 2), 0.5)
        return np.column_stack([of_events, a, (1 - a) / 2, (1 - a) / 2, 50 + z.sum(axis=1)])

    base[-1] = 50
    found = analyse_modalities(predict, mixed, base, settings)
    assert list(found.shapley) == list(found.leave_one_out) == [o.name for o in mixed.layout.outcomes]
    assert set(found.subsets[0].tasks) == set(found.shapley)
    cells = np.abs(mixed.emb[:, 0, 0].numpy())[mixed.present[:, 0].numpy()]
    assert found.shapley["score"]["a"] == pytest.approx(cells.mean(), rel=1e-5)
    assert found.shapley["survival"]["a"] < 0.3  # of a probability
    low, high = found.shapley_95["score"]["a"]
    half = 1.96 * cells.std() / np.sqrt(len(cells))
    assert (high - low) / 2 == pytest.approx(half, rel=0.3) and low < cells.mean() < high
    for outcome in ("survival", "subtype", "score"):
        low, high = found.leave_one_out_95[outcome]["a"]
        assert low < found.leave_one_out[outcome]["a"] < high
    contributions = found.as_json()["importance"]
    assert contributions["shapley_95"]["score"]["a"] == found.shapley_95["score"]["a"]
    none = analyse_modalities(predict, mixed, base, replace(settings, resamples=0))
    assert none.shapley_95["score"]["a"] is None and none.leave_one_out_95["score"]["a"] is None


def test_what_moves_between_classes_counts_once(mixed, settings):
    base = np.r_[np.full(2, 0.5), 0.2, 0.4, 0.4, 50]

    def predict(cohort):
        return np.tile(np.r_[np.full(2, 0.5), 0.6, 0.2, 0.2, 50], (len(cohort), 1))

    both = mixed.present.all(dim=1)
    found = analyse_modalities(predict, mixed[both], base, settings)
    assert sum(found.shapley["subtype"].values()) == pytest.approx(0.4)  # from B and C to A


def test_references_need_no_model_and_have_no_skill(mixed, predicted, settings):
    found = compare_references(mixed, predicted(), settings)
    assert {name: list(scored) for name, scored in found.items()} == {
        FREQUENCIES: ["subtype"],
        TRAINING_MEAN: ["score"],
    }
    frequencies, mean = found[FREQUENCIES]["subtype"], found[TRAINING_MEAN]["score"]
    assert frequencies.scores.auc == 0.5 and mean.scores.r2 == pytest.approx(0)
    share = np.bincount(mixed.targets.labels[:, 2:5].numpy().argmax(axis=1)) / 300
    assert frequencies.scores.log_loss == pytest.approx(-(share * np.log(share)).sum())
    assert frequencies.difference[1] > 0 and mean.difference[1] > 0  # the truth is better


def test_the_best_simple_model_is_one_that_was_fitted(mixed, predicted, settings):
    good, bad = predicted(), predicted(shift=30.0)
    scored = compare_references(mixed, good, settings)
    assert best_other_baseline("score", scored) is None
    scored |= {"ridge": compare_others(mixed, good, good, settings)}
    scored |= {"forest": compare_others(mixed, good, bad, settings)}
    name, best = best_other_baseline("score", scored)
    assert name == "ridge" and best.difference[0] == 0
    assert scored["forest"]["score"].difference[1] > 0


def test_an_estimator_of_events_alone_is_given_events_alone(mixed, predicted):
    part = with_columns(mixed, mixed.layout.event_columns)
    assert part.layout.task_names == ("survival", "recurrence")
    assert part.targets.labels.shape == (300, 2)
    assert (
        prediction_of_columns(predicted(), (0, 5)).values[:, 1].tolist()
        == predicted().values[:, 5].tolist()
    )
    assert with_columns(mixed, range(len(mixed.layout.tasks))) is mixed


def test_a_baseline_that_can_predict_no_outcome_of_the_cohort_is_left_out(mixed):
    catalog = load_catalog()
    recipe, _ = load_recipe(find_recipe(Path("small_cohort.toml")), catalog)
    numbers = with_columns(mixed, mixed.layout.numbers)
    others = with_columns(mixed, [*mixed.layout.outcome("subtype").columns, *mixed.layout.numbers])
    names = ["coxnet", "survival_forest", "random_forest"]
    assert list(baseline_recipes(names, [], recipe, catalog, numbers)) == ["random_forest"]
    assert list(baseline_recipes(names, [], recipe, catalog, others)) == names[1:]
