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
from hcat_core.experiments.compare_recipes.document import (
    FoldPlan,
    comparison_csv,
    comparison_document,
    find_differences,
)
from hcat_core.experiments.compare_recipes.page import comparison_page
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.experiments.compare_recipes.run import score_fold
from hcat_core.experiments.compare_recipes.selection import select_best
from hcat_core.experiments.compare_recipes.verdict import Measured, comparison_verdict
from hcat_core.interfaces import Prediction
from hcat_core.report import forest_plot
from hcat_core.report.page_facts import PageFacts
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


def document_of(results, cohort):
    found = find_differences(results, NAMES, cohort, PLAN)
    return comparison_document(found, results, NAMES, cohort, PLAN)


@pytest.fixture
def undrawn(monkeypatch):
    """Figures without drawing, which takes longer than all the rest."""

    def draw(name, paint, *, label, **size):
        return f'<svg role="img" aria-label="{label}"></svg>'

    monkeypatch.setattr(forest_plot, "draw", draw)


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
    document = document_of(results, cohort)
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
    of_good = [one.numbers["score"].subsets for one in results if one.name == "good"]
    falls = [one["a+b+c"] - one["b+c"] for one in of_good]
    entry = score["recipes"]["good"]
    assert entry["r2_fall_without"]["a"] == pytest.approx(np.mean(falls))
    assert entry["r2_fall_without_sd"]["a"] == pytest.approx(np.std(falls, ddof=1))
    assert document["selection"]["winner"] == "good" and document["selection"]["measure"] == "AUC"
    text = comparison_csv(results, NAMES, cohort).splitlines()
    assert len(text) == 1 + 2 * 2 and {"log_loss", "r2", "mae_sd"} <= set(text[0].split(","))


def test_the_terminal_shows_classes_and_numbers_with_their_own_scores():
    cohort = with_columns(MIXED, (2, 3, 4, 5))
    document = document_of(results_of(cohort), cohort)
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


def test_a_recipe_without_scores_of_a_number_is_not_best():
    names = ("blind", *NAMES)  # it predicts events and classes as well as "good", and the number not at all
    blind = [replace(one, name="blind", numbers={}) for one in RESULTS if one.name == "good"]
    results = [*blind, *RESULTS]
    chosen = select_best(results, names, MIXED, resamples=20)
    assert (chosen.winner, chosen.candidates) == ("good", NAMES)
    notes = comparison_document(find_differences(results, names, MIXED, PLAN), results, names, MIXED, PLAN)[
        "notes"
    ]
    (best,) = (note for note in notes if note.startswith("Best here"))
    assert best.startswith("Best here: good") and "no candidate: blind." in best


def test_where_all_outcomes_are_numbers_a_recipe_is_chosen_by_r2():
    numbers = with_columns(MIXED, (5,))
    results = results_of(numbers)
    chosen = select_best(results, NAMES, numbers, resamples=50)
    assert chosen.winner == "good" and chosen.measure == "R2" and list(chosen.tasks) == ["score"]
    every = [r.numbers["score"].r2 for r in results if r.name == "good"]
    assert chosen.score.apparent == pytest.approx(np.mean(every), abs=1e-4)
    document = document_of(results, numbers)
    assert document["differences"] == []
    assert document["verdict"]["title"] == "good is better than bad."
    sentence, *_, whom = document["verdict"]["sentences"]
    assert sentence.startswith("bad predicts values worse than good: its R² of score is ")
    assert document["verdict"]["sentences"][1].startswith("The highest R² was that of good")
    assert "240 patients" in whom


def test_several_numbers_without_an_auc_are_judged_by_their_mean():
    numbers = with_columns(MIXED, (5,))
    results = results_of(numbers)
    twice = [
        replace(one, numbers={"score": one.numbers["score"], "again": one.numbers["score"]})
        for one in results
    ]
    found = paired_differences(twice, NAMES, ("score", "again"), PLAN.folds, measure="R2")
    verdict = comparison_verdict(
        [one for one in found if one.task == MEAN_OF_TASKS],
        None,
        Measured(len(numbers), PLAN.folds, PLAN.repeats),
        [one for one in found if one.task != MEAN_OF_TASKS],
    )
    assert verdict.title == "good is better than bad."
    assert "its mean R² of the tasks is" in verdict.sentences[0] and len(verdict.sentences) == 2


def test_beside_an_auc_the_verdict_has_a_sentence_on_each_number():
    cohort = with_columns(MIXED, (0, 5))
    found = find_differences(results_of(cohort), NAMES, cohort, PLAN, choose=False)
    assert "in the AUC" in found.verdict.title
    assert "bad predicts values worse than good: its R² of score is" in " ".join(found.verdict.sentences)


def page_of(columns):
    cohort = with_columns(MIXED, columns)
    results = results_of(cohort)
    found = find_differences(results, NAMES, cohort, PLAN)
    document = comparison_document(found, results, NAMES, cohort, PLAN)
    return comparison_page(
        document, results, found, PageFacts("synthetic", 240, cohort.layout, "", "today")
    )


def test_the_page_has_the_scores_of_every_kind_of_outcome(undrawn):
    page = page_of((0, 2, 3, 4, 5))
    assert "Are the probabilities and intervals right?" in page
    for words in (
        "subtype: means over test folds, the highest macro AUC first",
        "score (points): means over test folds, the highest R² first",
        "predictions of all classes and test folds together",
        "share in the 90 % interval",
        "by the mean macro AUC of the recipes",
        "by the mean R² of the recipes",
        "by how much the R² falls when one modality is hidden",
        "Differences of the R², all modalities",
    ):
        assert words in page, words
    assert "subtype=A" not in page


def test_a_page_of_numbers_alone_says_nothing_of_probabilities(undrawn):
    page = page_of((5,))
    assert "Are the intervals right?" in page and "good is better than bad." in page
    assert "Nothing to compare" not in page and "probabilities" not in page and "AUC" not in page


def test_a_class_with_few_patients_has_no_verdict():
    rows = np.flatnonzero(TRUTH.classes < 2)
    rare = np.sort(np.r_[rows, np.flatnonzero(TRUTH.classes == 2)[:9]])
    cohort = with_columns(MIXED, (2, 3, 4))[torch.from_numpy(rare)]
    document = document_of(results_of(cohort), cohort)
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
    document = document_of(results_of(few), few)
    assert document["numbers"]["score"]["too_few"] and document["selection"] is None
    assert document["numbers"]["score"]["differences"][0]["verdict"] == "not tested"


def test_two_folds_give_no_interval_and_no_verdict_and_every_output_says_why(undrawn):
    two = [one for one in RESULTS if one.repeat == 0 and one.fold < 2]
    plan = FoldPlan(2, 1, "joint", 0)
    found = find_differences(two, NAMES, MIXED, plan)
    document = comparison_document(found, two, NAMES, MIXED, plan)
    for one in (*document["differences"], *document["numbers"]["score"]["differences"]):
        assert (one["low"], one["high"], one["p"], one["p_adjusted"]) == (None,) * 4
        assert one["verdict"] == "2 folds are too few to say"
    assert document["verdict"]["word"] == "not known"
    assert document["verdict"]["title"] == "Not known: 2 folds are too few to say which recipe is better."
    console = Console(width=160, record=True)
    print_comparison(console, document)
    page = comparison_page(document, two, found, PageFacts("synthetic", 240, MIXED.layout, "", "today"))
    for text in (console.export_text(), page):
        assert "2 folds are too few to say whether recipes differ" in text
        assert "Nadeau" not in text and " to +" not in text
