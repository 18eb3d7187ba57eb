"""Captions: what they say of intervals, weights, thresholds and dashes is what was computed."""

import re
from dataclasses import replace

import pytest
import torch

from hcat_core.data.splits import Split
from hcat_core.report import captions
from hcat_core.report.inputs import few
from hcat_core.report.page import render
from hcat_core.report.task_figures import task_figures

pytestmark = pytest.mark.usefixtures("undrawn")
NO_BOOTSTRAP = {"evaluation": {"bootstrap": 0, "baselines": ["logistic"]}}


def some_events(cohort, split, events):
    """The same patients, of whom a number of test patients have the event of survival."""
    labels = cohort.targets.labels.clone()
    with_event = split.test[labels[split.test, 0] == 1]
    labels[with_event[events:], 0] = -1
    return replace(cohort, targets=replace(cohort.targets, labels=labels))


def section(page, name):
    """The text of one section of a page, without markup and figures."""
    found = re.search(rf'<section id="{name}">(.*?)</section>', page, flags=re.S)
    assert found is not None
    text = re.sub(r"<svg.*?</svg>", "", found[1], flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_every_interval_that_a_caption_names_is_there(inputs, cohort, split):
    made = inputs()
    scores = [one for side in made.summary.metrics.values() for one in side.values()]
    assert all(one.average_precision_95 for one in made.summary.metrics["train"].values())
    of_all = "of average precision and Uno's C from 50 bootstrap samples of patients"
    assert of_all in captions.intervals(made, scores, timed=True)
    page = render(made)
    for one in made.summary.metrics["train"].values():
        low, high = one.average_precision_95
        assert f"({low:.2f} to {high:.2f})" in page
    none = inputs(recipe=NO_BOOTSTRAP)
    assert "the recipe has evaluation.bootstrap = 0" in captions.discrimination(none)
    assert "In brackets" not in render(none)
    fifteen = inputs(some_events(cohort, split, 15)).summary.metrics["test"]["survival"]
    assert "DeLong" in captions.intervals(made, [fifteen]) and not fifteen.average_precision_95
    assert "Average precision has none with fewer than 20" in captions.intervals(made, [fifteen])
    assert fifteen.c_index_95 and "bootstrap" in captions.intervals(made, [fifteen], timed=True)
    assert "bootstrap" not in captions.intervals(made, [fifteen])  # of a table without Uno's C
    twenty = made.summary.metrics["train"]["survival"]
    assert "has none" not in captions.intervals(made, [twenty])


def test_intervals_of_groups_are_called_so(inputs, grouped):
    assert "bootstrap samples of groups of records as wholes" in captions.discrimination(inputs(grouped))
    assert "group" not in captions.discrimination(inputs())
    assert "records of one group count together" in captions.calibration(inputs(grouped))
    assert "group" not in captions.calibration(inputs())


def test_scores_of_few_patients_are_dashes_with_a_reason(inputs, few_events):
    made = inputs(few_events)
    row = section(render(made), "discrimination").split("test survival")[1].split("test recurrence")[0]
    assert row.split()[1:7] == ["–"] * 5 + ["0.500"]
    assert captions.FEW in captions.discrimination(made)
    assert captions.FEW not in captions.discrimination(inputs())
    assert "–" not in section(render(inputs()), "discrimination")


def test_no_figure_is_drawn_of_few_patients(inputs, few_events, cohort, split):
    made = inputs(few_events)
    none, drawn = task_figures(made, 0), task_figures(made, 1)
    assert "1 event among" in none.none and none.names == () and "1 event among" in none.risk
    assert drawn.none == "" and len(drawn.names) == 5
    nine, ten = (task_figures(inputs(some_events(cohort, split, n)), 0) for n in (9, 10))
    assert not nine.names and len(ten.names) == 5
    page = render(made)
    assert "ROC curve of survival" not in page and "ROC curve of recurrence" in page
    assert "Kaplan-Meier curves of recurrence" in page and "Kaplan-Meier curves of survival" not in page
    for name in ("discrimination", "calibration", "decision"):
        assert "1 event among" in section(page, name)


def test_subsets_and_patterns_have_an_interval_or_a_dash(analysed, few_events):
    made = analysed()
    subset = made.summary.analysis.modalities.subsets[0]
    low, high = subset.intervals["survival"]
    text = section(render(made), "patterns")
    assert f"{subset.tasks['survival']:.3f} ({low:.2f} to {high:.2f})" in text
    assert "In brackets: 95 % intervals, DeLong's on the logit scale." in captions.subsets(made)
    poor = analysed(few_events)
    rows = section(render(poor), "patterns").split("recurrence ● ● ●")[1]
    assert rows.split()[0] == "–"
    assert captions.FEW in captions.subsets(poor) and captions.FEW not in captions.subsets(made)
    none = analysed(recipe=NO_BOOTSTRAP)
    assert "No intervals were computed" in captions.subsets(none)
    patterns = [one for p in made.summary.analysis.patterns for one in p.tasks.values()]
    assert any(few(one) and one.auc is not None for one in patterns)  # which the page does not show
    text, left = captions.patterns(made), sum(map(few, patterns))
    assert f"Not shown: {left} of {len(patterns)} groups, without the 10 patients of either outcome" in text
    shown = section(render(made), "patterns").split("AUC when only some")[0]
    assert all(f"{one.events}/{one.patients}" in shown for one in patterns if not few(one))
    assert not any(f" {one.events}/{one.patients} " in shown for one in patterns if few(one))


def test_the_learning_curve_shows_no_auc_of_few_patients(inputs, changed):
    made = inputs()
    poor = {"survival": {"auc": 1.0, "patients": 40, "events": 1}}
    history = [replace(epoch, val=poor) for epoch in made.summary.history]
    assert "AUC of held-out patients" in render(made)
    assert "AUC of held-out patients" not in render(changed(made, history=history))


def test_captions_say_that_scores_and_figures_are_weighted_where_they_are(inputs, untimed):
    made, plain = inputs(), inputs(untimed)
    for caption in (captions.discrimination, captions.calibration):
        assert "inverse probability of censoring" in caption(made) and "censoring" not in caption(plain)
    for column in (0, 1):
        known, alone = made.known_test_outcomes(column), plain.known_test_outcomes(column)
        for words in (
            captions.roc(made, known),
            captions.precision_recall(made, known),
            captions.decision_figure("survival", known),
        ):
            assert "weighted for censoring" in words
        assert "weighted" not in captions.precision_recall(plain, alone) + captions.decision_figure(
            "x", alone
        )
        assert "effective number" in captions.calibration_figure("survival", known)
        assert "effective" not in captions.calibration_figure("survival", alone)


def test_scores_over_time_have_a_column_only_where_times_are_known(inputs, untimed):
    timed, plain = (section(render(made), "calibration") for made in (inputs(), inputs(untimed)))
    assert "integrated Brier" in timed and "integrated" not in plain
    timed, plain = (section(render(made), "discrimination") for made in (inputs(), inputs(untimed)))
    assert "Uno&#39;s C sensitivity" in timed and "Uno&#39;s C" not in plain


def test_bands_are_named_where_they_are_drawn(inputs, cohort, split):
    made = inputs()
    assert "of 50 bootstrap samples of patients" in captions.roc(made, made.known_test_outcomes(0))
    fifteen = inputs(some_events(cohort, split, 15))
    assert "drawn from 20 patients of either outcome on" in captions.roc(
        fifteen, fifteen.known_test_outcomes(0)
    )
    none = inputs(recipe=NO_BOOTSTRAP)
    assert "Bands" not in captions.roc(none, none.known_test_outcomes(0))


def test_validation_patients_are_called_optimistic_only_where_there_are_some(inputs, split):
    words = "Those of validation patients, who made choices in training, are so too."
    assert words in captions.discrimination(inputs())
    both = Split(torch.arange(260), split.test[:0], split.test, split.left_out)
    assert words not in captions.discrimination(inputs(split=both))


def test_test_patients_are_called_untouched_only_where_there_are_some(inputs, split):
    assert "Test patients were scored once" in captions.discrimination(inputs())
    everyone = Split(torch.arange(400), split.test[:0], split.test[:0], split.left_out)
    made = inputs(split=everyone)
    assert "Test patients" not in captions.discrimination(made)
    page = render(made)
    assert page.count("There are no test patients") >= 5
    assert "ROC" not in section(page, "discrimination") and "net benefit" not in section(page, "decision")


@pytest.mark.parametrize(
    ("listed", "words"),
    [(["logistic"], "(logistic) none is installed"), ([], "evaluation.baselines is empty")],
)
def test_the_reason_for_no_simple_model_is_the_recipes(inputs, listed, words):
    made = inputs(recipe={"evaluation": {"bootstrap": 50, "baselines": listed}})
    assert words in captions.no_baselines(made)


def test_a_difference_is_described_only_where_there_is_one(analysed, few_events, looked_at):
    assert "The difference is" in captions.baselines(analysed())
    made = analysed()
    baselines = {
        "logistic": {
            t: replace(b, difference=None) for t, b in made.summary.analysis.baselines["logistic"].items()
        }
    }
    assert "The difference is" not in captions.baselines(looked_at(made, baselines=baselines))
    text = section(render(analysed(few_events)), "baselines")
    assert text.count("better") == 1


def test_curves_over_time_are_missing_for_the_reason_given(inputs, untimed, cohort, split):
    assert (
        task_figures(inputs(untimed), 0).risk == "No curves: event times of the test patients are unknown."
    )
    everyone = Split(torch.arange(400), split.test[:0], split.test[:0], split.left_out)
    assert task_figures(inputs(split=everyone), 0).risk == "No curves: there are no test patients."
    made = inputs()
    equal = torch.full_like(torch.from_numpy(made.predicted.probability), 0.3)
    same = replace(made, predicted=replace(made.predicted, event_probability=equal))
    assert "one of the three groups has 0 test patients, and 5 are needed" in task_figures(same, 0).risk


def test_the_patterns_are_called_all_only_where_all_are_shown(inputs, cohort):
    assert "All missingness patterns." in render(inputs())
    many = torch.zeros_like(cohort.present)
    assert "most frequent" not in render(inputs(replace(cohort, present=many | cohort.present)))
