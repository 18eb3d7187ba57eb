"""The TRIPOD+AI table: each item is answered with what it asks, from what was computed."""

from dataclasses import replace

import pytest
import torch

from hcat_core.data.splits import Split
from hcat_core.report.task_figures import task_figures
from hcat_core.report.tripod import tripod_items

pytestmark = pytest.mark.usefixtures("undrawn")


def answers(made):
    tasks = range(len(made.cohort.layout.tasks))
    return {
        item.number: item for item in tripod_items(made, [task_figures(made, column) for column in tasks])
    }


def without_test(split):
    return Split(torch.arange(400), split.test[:0], split.test[:0], split.left_out)


@pytest.mark.parametrize(
    "number",
    "1 2 3a 3b 3c 4 5a 5b 6 10 12d 14 16 17 18a 18b 18c 18d 18e 19 20b 20c 23b 24 25 26 27b 27c".split(),
)
def test_what_no_run_knows_is_left_to_the_authors(analysed, number):
    item = answers(analysed())[number]
    assert item.answer == "" and item.rest == "To be completed by the authors."


def test_data_preparation_is_not_answered_with_the_split(analysed):
    found = answers(analysed())
    assert "standardised" in found["7"].answer and "Looked for:" in found["7"].answer
    assert "divided" not in found["7"].answer and "Patients were divided" in found["12a"].answer
    assert "sociodemographic groups" in found["7"].rest
    other = answers(analysed(run={"estimator": "coxnet", "training": None}))
    assert "standardised" not in other["7"].answer + other["12b"].answer + other["9"].answer


def test_the_measures_and_plots_are_those_of_the_run(analysed, inputs, untimed, few_events, split):
    full = answers(analysed())["12e"].answer
    for words in (
        "AUC",
        "Uno's C",
        "calibration slope",
        "Brier",
        "difference of the AUC",
        "ROC curve",
        "decision curve",
    ):
        assert words in full
    assert "by group of predicted risk" in full and "bootstrap samples" in full
    labels = answers(analysed(untimed))["12e"].answer
    assert "Uno" not in labels and "integrated" not in labels and "predicted risk" not in labels
    assert "difference" not in answers(inputs())["12e"].answer
    none = answers(inputs(recipe={"evaluation": {"bootstrap": 0, "baselines": []}}))["12e"].answer
    assert "bootstrap samples" not in none
    alone = few_events.layout.tasks[:1]
    targets = few_events.targets
    one = replace(
        few_events,
        layout=replace(few_events.layout, tasks=alone),
        targets=replace(
            targets, labels=targets.labels[:, :1], time=targets.time[:, :1], event=targets.event[:, :1]
        ),
    )
    text = answers(inputs(one))["12e"].answer
    assert text.startswith("Measures: Brier score, integrated Brier score.") and "Plots" not in text
    assert answers(inputs(split=without_test(split)))["12e"].answer == ""


def test_the_full_model_is_claimed_only_where_it_was_written(inputs):
    answer = answers(inputs())["22"].answer
    assert "holds all that was fitted (estimator)" in answer and "hcat predict" in answer
    unwritten = answers(replace(inputs(), weights=None))["22"]
    assert unwritten.answer == "" and unwritten.rest == "To be completed by the authors."


def test_class_weights_are_claimed_only_where_a_head_has_them(inputs):
    def imbalance(head):
        return answers(inputs(recipe={"heads": {"survival": {"task": "survival", **head}}}))["13"].answer

    assert "same total weight" in imbalance({"use": "binary", "balance": True})
    assert imbalance({"use": "binary", "balance": False}) == "" == imbalance({"use": "discrete_hazard"})


def test_recalibration_is_part_of_building_and_no_update(inputs):
    found = answers(inputs())
    assert "recalibrated on the validation patients" in found["12c"].answer
    assert found["12f"].answer == "Nothing was changed after the test patients were scored."


def test_items_about_an_evaluation_are_open_without_test_patients(inputs, split):
    found = answers(inputs(split=without_test(split)))
    for number in ("12e", "12f", "12g", "23a"):
        assert found[number].answer == ""
    assert "Internal validation" not in found["12c"].answer
    assert "Internal validation: 140 test patients" in answers(inputs())["12c"].answer


def test_participants_are_counted_by_analysis_and_in_the_flow(inputs, untimed):
    made = inputs()
    counts = made.summary.data.split["test"].labels["survival"]
    found = answers(made)
    assert f"Test: 140 patients (survival {counts.event} with the event" in found["21"].answer
    assert "Median follow-up by reverse Kaplan-Meier: survival" in found["20a"].answer
    assert "follow-up" not in answers(inputs(untimed))["20a"].answer


def test_performance_of_few_events_is_their_number(inputs, few_events):
    assert "survival: 1 event among" in answers(inputs(few_events))["23a"].answer
    assert "survival: AUC" not in answers(inputs(few_events))["23a"].answer
    assert "survival: AUC" in answers(inputs())["23a"].answer


def test_the_imputer_is_named_for_missing_data(inputs):
    assert (
        "imputer mean" in answers(inputs())["11"].answer
        and "imputer mean" in answers(inputs())["27a"].answer
    )
    recipe = {"estimator": {"use": "coxnet"}, "imputer": {}}
    made = inputs(recipe=recipe, run={"estimator": "coxnet", "training": None})
    assert "imputer" not in answers(made)["11"].answer


def test_the_competing_event_is_part_of_the_outcome(inputs, competing):
    assert "cumulative incidence" in answers(inputs(competing))["8"].answer
    assert "cumulative incidence" not in answers(inputs())["8"].answer
