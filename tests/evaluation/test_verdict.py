"""The verdict on a task follows from its test patients: each word where it is due, and its reasons."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.evaluation.analysis import score_patterns
from hcat_core.evaluation.baselines import BaselineScores
from hcat_core.evaluation.scores import ScoringSettings, score_tasks
from hcat_core.evaluation.verdict import observed_over_predicted, verdict_of
from hcat_core.interfaces import Prediction
from hcat_core.metrics.recalibration import logit, sigmoid
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate

COHORT = to_cohort(generate(SynthSpec(patients=500, widths=dict.fromkeys("abc", 4), seed=3)))
LABELS = COHORT.targets.labels.numpy()
TASK = COHORT.layout.task_names[0]
SETTINGS = ScoringSettings([0.5, 0.5], COHORT.targets, 50, 0)

UNKNOWING = Prediction(torch.full(COHORT.targets.labels.shape, 0.5, dtype=torch.float64))
SHARES = np.array([one.observed for one in score_tasks(COHORT, UNKNOWING, SETTINGS).values()])


def predictions(skill, stretch=1.0):
    """Probabilities that a marker which rises with the outcome gives, with log odds stretched."""
    rng = np.random.default_rng(0)
    marker = rng.normal(np.where(LABELS > 0, skill, 0), 1)
    odds = logit(SHARES) + skill * marker - skill**2 / 2
    return Prediction(torch.from_numpy(sigmoid(stretch * odds)))


def judged(predicted, cohort=COHORT, difference=None, settings=SETTINGS):
    scores = score_tasks(cohort, predicted, settings)[TASK]
    baseline = BaselineScores(**vars(scores), difference=difference)
    patterns = score_patterns(cohort, predicted, settings)
    return verdict_of(TASK, scores, {"logistic": {TASK: baseline}} if difference else {}, patterns)


def judged_externally(predicted):
    scores = score_tasks(COHORT, predicted, SETTINGS)[TASK]
    return verdict_of(TASK, scores, {}, score_patterns(COHORT, predicted, SETTINGS), external=True)


def test_a_good_model_is_usable_and_says_for_whom():
    verdict = judged(predictions(1.5), difference=[0.01, -0.02, 0.04])
    assert verdict.word == "usable"
    discrimination, calibration, whom = verdict.reasons
    assert "not detectably different from the best simple model, logistic" in discrimination
    assert "not found to be too extreme or too moderate" in calibration
    assert "test patients with a known outcome" in whom and "hcat evaluate" in whom


def test_a_model_that_ranks_patients_the_wrong_way_round_is_not_usable_and_says_so():
    right = predictions(1.5)
    verdict = judged(Prediction(1 - right.event_probability))
    assert verdict.answer == "not usable, because it ranks patients worse than chance"
    assert "which is worse than chance" in verdict.reasons[0] and "may be no" not in verdict.reasons[0]


def test_a_model_no_better_than_chance_is_not_known():
    verdict = judged(predictions(0.0))
    assert verdict.word == "not known"
    assert "may be no better than chance" in verdict.reasons[0]
    assert "No simple model was fitted" in verdict.reasons[0]


@pytest.mark.parametrize(("stretch", "said"), [(4.0, "too extreme"), (0.25, "too moderate")])
def test_a_model_with_wrong_probabilities_is_not_usable(stretch, said):
    verdict = judged(predictions(1.5, stretch))
    assert verdict.word == "not usable" and said in verdict.reasons[1] and said in verdict.because


def test_a_model_worse_than_a_simple_one_is_not_usable():
    verdict = judged(predictions(1.5), difference=[-0.05, -0.09, -0.01])
    assert verdict.word == "not usable" and "worse than the best simple model" in verdict.reasons[0]
    better = judged(predictions(1.5), difference=[0.05, 0.01, 0.09])
    assert better.word == "usable" and "better than the best simple model" in better.reasons[0]


def test_few_events_decide_nothing():
    labels = COHORT.targets.labels.clone()
    events = (labels[:, 0] == 1).nonzero().squeeze(1)
    labels[events[9:], 0] = -1
    unknown = COHORT.targets.event.clone()
    unknown[events[9:], 0] = -1
    few = replace(COHORT, targets=replace(COHORT.targets, labels=labels, event=unknown))
    verdict = judged(predictions(1.5), few)
    assert verdict.word == "not known"
    assert (
        " 9 had the event and " in verdict.reasons[0]
        and "too few to measure anything" in verdict.reasons[0]
    )


def test_without_known_outcomes_or_intervals_nothing_is_known():
    nobody = judged(predictions(1.5)[np.zeros(0, int)], COHORT[:0])
    assert nobody.word == "not known" and "No test patient" in nobody.reasons[0]
    no_interval = judged(predictions(1.5), settings=ScoringSettings([0.5, 0.5], COHORT.targets, 0, 0))
    assert no_interval.word == "not known" and "evaluation.bootstrap = 0" in no_interval.reasons[0]


def test_a_model_that_predicts_half_of_the_events_is_not_usable():
    predicted = predictions(1.5)
    lower = Prediction(torch.from_numpy(sigmoid(logit(predicted.probability) - 1.2)))
    verdict = judged(lower)
    assert verdict.word == "not usable" and verdict.because == "it predicts too few events"
    assert "more than chance explains" in verdict.reasons[1]


def test_the_ratio_of_observed_to_predicted_events_has_the_interval_of_a_poisson_like_count():
    scores = replace(
        score_tasks(COHORT, predictions(1.5), SETTINGS)[TASK],
        patients=400, events=100, rarer_outcome=100, observed=0.25, mean_predicted=0.2,
    )  # fmt: skip
    ratio, low, high = observed_over_predicted(scores)
    assert ratio == pytest.approx(1.25)
    # exp(1.96 sqrt(0.75 / 100)) = 1.185
    assert (low, high) == (pytest.approx(1.25 / 1.185, rel=1e-3), pytest.approx(1.25 * 1.185, rel=1e-3))
    _, grouped, _ = observed_over_predicted(replace(scores, rarer_outcome=25))
    assert grouped < low  # four records of a group say less


def test_an_external_cohort_is_judged_without_simple_models_or_test_patients():
    verdict = judged_externally(predictions(1.5))
    assert verdict.word == "usable"
    text = " ".join(verdict.reasons)
    assert "simple model" not in text and "test patient" not in text and "hcat evaluate" not in text
    assert "patients of this cohort" in text
