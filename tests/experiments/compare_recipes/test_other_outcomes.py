"""Comparisons of recipes whose outcomes are classes and numbers, beside events."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn import metrics

from hcat_core.cli.comparison_tables import print_comparison
from hcat_core.data.folds import joint_folds, per_task_folds
from hcat_core.evaluation.outcome_selection import with_columns
from hcat_core.experiments.compare_recipes.differences import MEAN_OF_TASKS, paired_differences
from hcat_core.experiments.compare_recipes.document import FoldPlan, comparison_csv, comparison_document
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.experiments.compare_recipes.run import score_fold
from hcat_core.experiments.compare_recipes.selection import select_best
from hcat_core.interfaces import Prediction
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.synth.other_outcomes import to_other_cohort

SYNTHETIC = generate(SynthSpec(patients=240, widths={"a": 4, "b": 4, "c": 4}, seed=3))
MIXED, TRUTH = to_other_cohort(SYNTHETIC)
NAMES = ("good", "bad")
PLAN = FoldPlan(3, 2, "joint", 0)


@dataclass(frozen=True)
class Fitted:
    """A model that knows the truth, and adds noise to it."""

    noise: float
    layout: object
    thresholds: tuple = (0.5,) * 6

    def predict(self, cohort):
        rows = [MIXED.patient_ids.index(one) for one in cohort.patient_ids]
        rng = np.random.default_rng(0)
        p = TRUTH.probability[rows] * np.exp(rng.normal(0, self.noise, (len(rows), 3)))
        value = np.full((len(rows), 6), np.nan)
        value[:, 5] = TRUTH.expected[rows] + 10 * self.noise * rng.normal(size=len(rows))
        events = np.full((len(rows), 2), 0.5) + rng.normal(0, 0.1, (len(rows), 2))
        every = np.column_stack([events, p / p.sum(axis=1, keepdims=True), np.full(len(rows), np.nan)])
        names = [task.name for task in MIXED.layout.tasks]
        at = [names.index(task.name) for task in self.layout.tasks]
        parts = (every[:, at], np.stack([value - 9, value + 9], axis=-1)[:, at], value[:, at])
        probability, interval, value = (torch.from_numpy(part) for part in parts)
        return Prediction(probability, None, interval, value)

    def predict_once(self, cohort):
        return self.predict(cohort).estimate.numpy()


def results_of(cohort):
    results = []
    for fold in joint_folds(cohort, PLAN.folds, PLAN.repeats, PLAN.seed):
        for name, noise in zip(NAMES, (0.0, 1.0), strict=True):
            scores = score_fold(Fitted(noise, cohort.layout), cohort, fold)
            numbers = {o: one for o, one in scores.items() if one.value}
            tasks = {o: one for o, one in scores.items() if o not in numbers}
            results.append(FoldResult(name, fold.repeat, fold.number, tasks, None, numbers))
    return results


RESULTS = results_of(MIXED)


def test_a_fold_scores_every_outcome_once_and_survives_json():
    result = RESULTS[0]
    assert list(result.tasks) == ["survival", "recurrence", "subtype"] and list(result.numbers) == ["score"]
    document = json.loads(json.dumps(result.as_json(), allow_nan=False))
    again = FoldResult.from_json(document)
    assert again.as_json() == document
    assert again.numbers["score"].value == list(result.numbers["score"].value)
    subtype, rows = result.tasks["subtype"], np.asarray(result.tasks["subtype"].rows)
    assert subtype.auc == pytest.approx(
        metrics.roc_auc_score(TRUTH.classes[rows], np.asarray(subtype.classes).T, multi_class="ovr"),
        abs=1e-4,
    )
    assert set(subtype.subsets) == set(result.tasks["survival"].subsets) and "score R2" in result.score


def test_the_document_tells_recipes_apart_by_macro_auc_and_by_r2():
    cohort = with_columns(MIXED, (2, 3, 4, 5))
    results = results_of(cohort)
    document = comparison_document(results, NAMES, cohort, PLAN)
    json.dumps(document, allow_nan=False)
    subtype = {d["name"]: d for d in document["differences"] if d["task"] == "subtype"}["bad"]
    assert subtype["verdict"] == "worse" and subtype["high"] < 0
    assert document["recipes"]["good"]["subtype"]["kind"] == "multiclass"
    assert document["recipes"]["good"]["subtype"]["pooled_calibration"]["slope"] == pytest.approx(
        1, abs=0.5
    )
    score = document["numbers"]["score"]
    assert score["differences"][0]["verdict"] == "worse" and score["unit"] == "points"
    assert score["recipes"]["good"]["r2"]["mean"] > score["recipes"]["bad"]["r2"]["mean"]
    assert "score" not in document["recipes"]["good"]
    assert document["selection"]["winner"] == "good" and document["selection"]["measure"] == "AUC"
    text = comparison_csv(results, NAMES, cohort).splitlines()
    assert len(text) == 1 + 2 * 2 and {"log_loss", "r2", "mae_sd"} <= set(text[0].split(","))


def test_the_terminal_shows_classes_and_numbers_with_their_own_scores():
    cohort = with_columns(MIXED, (2, 3, 4, 5))
    document = comparison_document(results_of(cohort), NAMES, cohort, PLAN)
    console = Console(width=80, force_terminal=False, record=True)
    print_comparison(console, document)
    text = console.export_text()
    for words in ("subtype: means over 6 folds", "macro AUC", "score (points): means over 6 folds", "R2"):
        assert words in text
    assert text.index("R2 minus that of good") > text.index("AUC minus that of good")


def test_the_mean_of_tasks_is_that_of_aucs_without_r2():
    tasks = ("survival", "recurrence", "subtype")
    found = paired_differences(RESULTS, NAMES, tasks, PLAN.folds)
    mean = next(d.mean for d in found if d.task == MEAN_OF_TASKS and d.what == "all modalities")
    each = [next(d.mean for d in found if d.task == t and d.what == "all modalities") for t in tasks]
    assert mean == pytest.approx(np.mean(each))
    chosen = select_best(RESULTS, NAMES, MIXED, resamples=20)
    assert set(chosen.tasks) == set(tasks)
    every = [result.tasks["subtype"].auc for result in RESULTS if result.name == chosen.winner]
    assert chosen.tasks["subtype"].apparent == pytest.approx(np.mean(every), abs=1e-4)


def test_where_all_outcomes_are_numbers_a_recipe_is_chosen_by_r2():
    numbers = with_columns(MIXED, (5,))
    results = results_of(numbers)
    chosen = select_best(results, NAMES, numbers, resamples=50)
    assert chosen.winner == "good" and chosen.measure == "R2" and list(chosen.tasks) == ["score"]
    every = [r.numbers["score"].r2 for r in results if r.name == "good"]
    assert chosen.score.apparent == pytest.approx(np.mean(every), abs=1e-4)
    assert comparison_document(results, NAMES, numbers, PLAN)["differences"] == []


def test_a_class_with_few_patients_has_no_verdict():
    rows = np.flatnonzero(TRUTH.classes < 2)
    rare = np.sort(np.r_[rows, np.flatnonzero(TRUTH.classes == 2)[:9]])
    cohort = with_columns(MIXED, (2, 3, 4))[torch.from_numpy(rare)]
    document = comparison_document(results_of(cohort), NAMES, cohort, PLAN)
    assert document["too_few"] == {"subtype": 9} and document["selection"] is None
    assert {d["verdict"] for d in document["differences"] if d["task"] == "subtype"} == {"not tested"}


def test_folds_of_each_outcome_are_stratified_by_its_classes_and_quarters():
    for fold in per_task_folds(MIXED, 4, 1, 0):
        (outcome,) = fold.tasks
        if outcome == "subtype":
            counts = np.bincount(TRUTH.classes[fold.test.numpy()], minlength=3)
            assert np.abs(counts - np.bincount(TRUTH.classes) / 4).max() <= 1
        if outcome == "score":
            medians = [np.median(TRUTH.score[rows.numpy()]) for rows in (fold.test, fold.rest)]
            assert abs(medians[0] - medians[1]) < 0.3 * TRUTH.score.std()
    assert {task for fold in per_task_folds(MIXED, 4, 1, 0) for task in fold.tasks} == {
        "survival", "recurrence", "subtype", "score",
    }  # fmt: skip


def test_a_number_with_few_patients_has_no_verdict():
    numbers = with_columns(MIXED, (5,))
    values = numbers.targets.values.clone()
    values[19:] = torch.nan
    few = replace(numbers, targets=replace(numbers.targets, values=values))
    document = comparison_document(results_of(few), NAMES, few, PLAN)
    assert document["numbers"]["score"]["too_few"] and document["selection"] is None
    assert document["numbers"]["score"]["differences"][0]["verdict"] == "not tested"
