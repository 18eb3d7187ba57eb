"""The sentences at the top of the report: each is there where it is true, and not where it is not."""

from dataclasses import replace

import numpy as np
import torch

from hcat_core.cohort import Layout
from hcat_core.data.splits import Split
from hcat_core.interfaces import Prediction
from hcat_core.metrics.calibration import calibration
from hcat_core.report.words import NO_TEST_PATIENTS, summary_in_words, too_few


def told(made):
    return " ".join(summary_in_words(made))


def without_test(split):
    return Split(torch.arange(400), split.test[:0], split.test[:0], split.left_out)


def test_one_event_is_counted_and_nothing_is_said_of_its_rank(inputs, few_events):
    text = told(inputs(few_events))
    known = inputs(few_events).known_test_outcomes(0)
    assert known.label.sum() == 1
    assert f"survival: 1 event among {len(known.label)} test patients with a known outcome: too few" in text
    assert "ten of either outcome are needed" in text
    assert "survival (p_death_5y)" not in text and "recurrence (p_recurrence_2y): in" in text
    assert text.count("calibration slope is") == 1
    assert "too few" not in told(inputs())


def test_few_event_free_patients_are_as_few_as_few_events(inputs):
    made = inputs().known_test_outcomes(0)
    free = replace(made, label=np.where(np.arange(len(made.label)) < 3, 0, 1))
    assert "survival: 3 event-free patients among" in too_few("survival", free)


def test_events_of_few_groups_are_counted_in_groups(inputs, cohort, split):
    events = torch.from_numpy(np.isin(np.arange(400), split.test[:20]))
    groups = tuple(f"g{row // 4}" for row in range(400))
    labels = cohort.targets.labels.clone()
    labels[split.test, 0] = events[split.test].to(labels.dtype)
    made = inputs(replace(cohort, groups=groups, targets=replace(cohort.targets, labels=labels)))
    assert "survival: 20 events, in 5 groups, among 140 test patients" in told(made)
    assert "ten groups with either outcome are needed" in told(made)
    alone = inputs(replace(cohort, targets=replace(cohort.targets, labels=labels)))
    assert "survival (p_death_5y): in" in told(alone)


def test_without_test_patients_nothing_is_said_of_them(inputs, cohort, split):
    text = told(inputs(split=without_test(split)))
    assert NO_TEST_PATIENTS in text and "AUC" not in text and "The test patients come from" not in text
    assert NO_TEST_PATIENTS not in told(inputs()) and "The test patients come from" in told(inputs())


def test_pairs_are_weighted_for_censoring_where_times_are_known(inputs, untimed):
    assert "one without, weighted for censoring, the model" in told(inputs())
    assert "weighted" not in told(inputs(untimed))


def test_an_interval_is_given_or_why_there_is_none(inputs):
    auc = inputs().summary.metrics["test"]["survival"].auc_95
    assert f"95 % interval {auc[0]:.3f} to {auc[1]:.3f}" in told(inputs())
    none = told(inputs(recipe={"evaluation": {"bootstrap": 0, "baselines": []}}))
    assert "without an interval: the recipe has evaluation.bootstrap = 0" in none
    assert "without an interval" not in told(inputs())


def test_the_verdict_on_the_slope_follows_its_interval(inputs, changed):
    made = inputs()
    known, scores = made.known_test_outcomes(0), made.summary.metrics["test"]["survival"]
    z = np.log(known.probability / (1 - known.probability))
    for factor, verdict in ((0.2, "too moderate"), (6.0, "too extreme"), (None, "compatible with 1")):
        slope = calibration(known.probability, known.label, known.weights).calibration_slope
        by = slope if factor is None else factor
        one = calibration(1 / (1 + np.exp(-z * by)), known.label, known.weights)
        test = {"survival": replace(scores, **vars(one)), "recurrence": scores}
        text = told(changed(made, metrics={**made.summary.metrics, "test": test}))
        assert verdict in text.split("recurrence (")[0]
        others = {
            "below 1: the probabilities are too extreme",
            "above 1: the probabilities are too moderate",
        }
        assert sum(other in text.split("recurrence (")[0] for other in others) == (factor is not None)


def test_chance_is_not_excluded_by_an_interval_that_holds_one_half(inputs):
    made = inputs()
    rng = np.random.default_rng(3)
    chance = torch.from_numpy(rng.uniform(0.2, 0.6, made.predicted.probability.shape))
    text = told(_scored(made, Prediction(chance)))
    assert "does not exclude a model no better than chance" in text
    assert "no better than chance" not in told(made)


def _scored(made, predicted):
    """The same run with other predictions."""
    from hcat_core.evaluation.scores import ScoringSettings, score_split

    settings = ScoringSettings([0.5, 0.5], made.targets[made.split.train], 50, 0)
    metrics = score_split(made.cohort, made.split, predicted, settings)
    return replace(made, predicted=predicted, summary=replace(made.summary, metrics=metrics))


def test_a_cohort_of_one_modality_is_described_as_such(inputs, cohort):
    modality = cohort.layout.modalities[1]  # the widest one
    layout = Layout((modality,), cohort.layout.tasks)
    columns = {
        name: getattr(cohort, name)[:, 1:2] for name in ("emb", "measured", "present", "quality", "n_rows")
    }
    text = told(inputs(replace(cohort, layout=layout, **columns)))
    assert "400 patients and one modality, which" in text
    assert "400 patients and 3 modalities;" in told(inputs())


def test_imputation_is_called_outcome_informed_only_where_it_was(inputs):
    made = inputs()
    informed = replace(made.summary.run.training, outcome_informed_imputation=True)
    assert "The imputation is outcome-informed" in told(inputs(run={"training": informed}))
    assert "outcome-informed" not in told(made)


def test_a_split_by_a_column_may_be_by_place_or_time(inputs):
    by_column = {"split": {"validation": 0.15, "test": 0.15, "column": "fold"}}
    assert "The test patients are those of the column fold." in told(inputs(recipe=by_column))
    assert "same cohort as the training patients" not in told(inputs(recipe=by_column))


def test_the_comparison_with_simple_models_needs_ten_of_either_outcome(analysed, few_events):
    both = told(analysed()).count("Compared with the best simple model")
    assert both == 2 and told(analysed(few_events)).count("Compared with the best simple model") == 1
