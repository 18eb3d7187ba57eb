"""What the report says that a run did: each sentence with a run of which it is true, and one without."""

from dataclasses import replace

import pytest
import torch

from hcat_core.data.splits import Split
from hcat_core.evaluation.summary import MemberSummary
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.report import method

NONE = Recalibration.none(2)


def test_the_division_is_that_of_the_recipe(inputs, split):
    assert method.division(inputs()) == (
        "Patients were divided at random (seed 0), stratified by the outcomes of all tasks: 160 train, 100 "
        "validation and 140 test."
    )
    by_column = {"split": {"validation": 0.15, "test": 0.3, "column": "fold"}}
    text = method.division(inputs(recipe=by_column))
    assert "by the column fold" in text and "stratified" not in text and "random" not in text
    everyone = Split(torch.arange(400), split.test[:0], split.test[:0], split.left_out)
    text = method.division(inputs(split=everyone))
    assert "none were held out for a test" in text and "divided" not in text


def test_groups_are_named_only_where_there_are_any(inputs, grouped, cohort):
    assert "Records of one group (cohort.groups) are on one side." in method.division(inputs(grouped))
    assert "stratified by the outcomes of all tasks as far as groups allow" in method.division(
        inputs(grouped)
    )
    assert "group" not in method.division(inputs())
    alone = replace(cohort, groups=tuple(cohort.patient_ids))  # every patient is a group
    assert "group" not in method.division(inputs(alone))


def test_one_task_is_not_called_all_tasks(inputs, cohort):
    targets = cohort.targets
    one = replace(
        cohort,
        layout=replace(cohort.layout, tasks=cohort.layout.tasks[:1]),
        targets=replace(
            targets, labels=targets.labels[:, :1], time=targets.time[:, :1], event=targets.event[:, :1]
        ),
    )
    assert "by the outcomes of the task:" in method.division(inputs(one))


def test_patients_set_aside_for_validation_are_named_where_they_were_trained_on(inputs):
    taken = "Those set aside for validation are among the training patients"
    assert taken in method.division(inputs(run={"held_out": "inner folds"}))
    assert taken not in method.division(inputs())
    without = {"split": {"validation": 0.0, "test": 0.3}}
    assert taken not in method.division(inputs(recipe=without, run={"held_out": "inner folds"}))


@pytest.mark.parametrize(
    ("held_out", "recalibrated", "chosen"),
    [
        ("validation patients", "on the validation patients: survival", "F1 on the validation patients."),
        ("inner folds", "on training patients in inner folds, by", "F1 on training patients in inner"),
        ("members", "on training patients, by the members", "F1 on training patients, by the members"),
        ("estimator", "calibrates its probabilities itself", "chosen by the estimator neural itself"),
        ("nobody", "not recalibrated: there are no validation", "The threshold is 0.5: there are no"),
    ],
)  # fmt: skip
def test_recalibration_and_threshold_are_of_those_who_were_held_out(inputs, held_out, recalibrated, chosen):
    line = NONE if held_out in ("estimator", "nobody") else Recalibration((0.1, 0.2), (0.9, 0.8))
    made = inputs(run={"held_out": held_out, "recalibration": line})
    assert recalibrated in method.recalibration(made) and chosen in method.thresholds(made)
    slopes = "survival slope 0.90 and intercept 0.10; recurrence slope 0.80 and intercept 0.20"
    assert (slopes in method.recalibration(made)) == (line != NONE)


def test_a_task_without_outcomes_in_validation_is_not_called_recalibrated(inputs, cohort, split):
    labels = cohort.targets.labels.clone()
    labels[split.validation, 1] = -1
    made = inputs(replace(cohort, targets=replace(cohort.targets, labels=labels)))
    assert "recurrence slope" not in method.recalibration(made)
    assert "as no validation patient has a known outcome: recurrence." in method.recalibration(made)
    assert "that of recurrence is 0.5" in method.thresholds(made)
    one_sided = labels.clone()
    one_sided[split.validation, 0] = one_sided[split.validation, 1] = 0
    made = inputs(replace(cohort, targets=replace(cohort.targets, labels=one_sided)))
    assert "The threshold is 0.5: no task has validation patients with both outcomes" in method.thresholds(
        made
    )


def test_standardisation_is_claimed_for_networks_alone(inputs):
    assert "Features were standardised" in method.preparation(inputs())
    coxnet = inputs(run={"estimator": "coxnet", "training": None})
    assert "standardised" not in method.preparation(coxnet)
    assert "The estimator coxnet was given the values of the files" in method.preparation(coxnet)


def test_winsorising_is_named_where_the_recipe_has_it(inputs):
    table = {"use": "late_fusion", "model": {"use": "coxnet", "tails": 0.02}}
    text = method.preparation(inputs(recipe={"estimator": table}))
    assert "beyond a feature's quantiles at 2 % of training patients" in text
    assert "(estimator.model coxnet)" in text
    none = {"use": "late_fusion", "model": {"use": "coxnet", "tails": 0.0}}
    assert "quantile" not in method.preparation(inputs(recipe={"estimator": none}))
    assert "quantile" not in method.preparation(inputs())


def test_aggregation_is_named_where_patients_have_several_rows(inputs, changed):
    made = inputs()
    assert "aggregated" not in method.preparation(made)
    first, *rest = made.summary.data.modalities
    data = replace(made.summary.data, modalities=[replace(first, rows=900), *rest])
    assert "aggregated to one (clinical: 900 rows of 400 patients)" in method.preparation(
        changed(made, data=data)
    )


def test_weights_in_training_are_named_where_a_component_has_them_and_times_are_known(inputs, untimed):
    weighted = {"heads": {"death": {"use": "binary", "task": "survival", "ipcw": True}}}
    assert "(heads.death binary)" in method.weighted_training(inputs(recipe=weighted))
    assert method.weighted_training(inputs(untimed, recipe=weighted)) == ""
    off = {"heads": {"death": {"use": "binary", "task": "survival", "ipcw": False}}}
    assert method.weighted_training(inputs(recipe=off)) == "" and method.weighted_training(inputs()) == ""
    nested = {
        "estimator": {"use": "stack", "models": [{"use": "coxnet"}, {"use": "logistic", "ipcw": True}]}
    }
    assert "(estimator.models.1 logistic)" in method.weighted_training(inputs(recipe=nested))


def test_weights_in_training_need_times_of_the_heads_own_task(inputs, cohort, untimed):
    targets = replace(
        cohort.targets, event=torch.stack([untimed.targets.event[:, 0], cohort.targets.event[:, 1]], 1)
    )
    heads = {task: {"use": "binary", "task": task, "ipcw": True} for task in ("survival", "recurrence")}
    text = method.weighted_training(inputs(replace(cohort, targets=targets), recipe={"heads": heads}))
    assert "(heads.recurrence binary)" in text


def test_the_imputer_is_named_where_there_is_one(inputs):
    assert "imputed by the imputer mean." in method.missing_modalities(inputs())
    recipe = {"estimator": {"use": "coxnet"}, "imputer": {}}
    text = method.missing_modalities(inputs(recipe=recipe, run={"estimator": "coxnet", "training": None}))
    assert "imputed" not in text and "handled by the estimator coxnet" in text


def test_everyone_is_called_complete_only_where_everyone_is(inputs, cohort):
    complete = int(cohort.present.all(dim=1).sum())
    assert f"{complete} of 400 patients have every modality" in method.missing_modalities(inputs())
    full = replace(cohort, present=torch.ones_like(cohort.present))
    assert method.missing_modalities(inputs(full)).startswith("Every patient has every modality.")


def test_the_epoch_is_the_one_that_was_kept(inputs):
    def told(*members):
        training = inputs().summary.run.training
        (text,) = method.training_in_words(inputs(run={"training": replace(training, members=members)}))
        return text

    score = {"metric": "auc"}
    assert "weights of epoch 2, the best ones on validation" in told(
        MemberSummary(3, False, {"average": 2}, score)
    )
    assert "from before the first epoch" in told(MemberSummary(3, False, {"average": 0}, score))
    alone = told(MemberSummary(3, False, {}, score))
    assert "weights of the last epoch" in alone and "optimistic" not in alone
    several = told(MemberSummary(3, False, {"average": 2}, score), MemberSummary(4, False, {}, score))
    assert "2 members" in several and "(2, 4)" in several
    start = told(MemberSummary(3, False, {"average": 0}, score), MemberSummary(4, False, {}, score))
    assert "(0, 4; 0 is before the first)" in start
    assert method.training_in_words(inputs(run={"estimator": "coxnet", "training": None})) == [
        "The estimator coxnet is not trained in epochs."
    ]
