"""The verdict on a task follows from its test patients: each word where it is due, and its reasons."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.evaluation.analysis import score_patterns
from hcat_core.evaluation.baselines import BaselineScores
from hcat_core.evaluation.scores import ScoringSettings, score_tasks
from hcat_core.evaluation.verdict import verdict_of
from hcat_core.interfaces import Prediction
from hcat_core.metrics.recalibration import logit, sigmoid
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate

COHORT = to_cohort(generate(SynthSpec(patients=500, widths=dict.fromkeys("abc", 4), seed=3)))
LABELS = COHORT.targets.labels.numpy()
TASK = COHORT.layout.task_names[0]
SETTINGS = ScoringSettings([0.5, 0.5], COHORT.targets, 50, 0)


def predictions(skill, stretch=1.0):
    """Probabilities that a marker which rises with the outcome gives, with log odds stretched."""
    rng = np.random.default_rng(0)
    share = (LABELS == 1).mean(axis=0)
    marker = rng.normal(np.where(LABELS > 0, skill, 0), 1)
    odds = logit(share) + skill * marker - skill**2 / 2
    return Prediction(torch.from_numpy(sigmoid(stretch * odds)))


def judged(predicted, cohort=COHORT, difference=None, settings=SETTINGS):
    scores = score_tasks(cohort, predicted, settings)[TASK]
    baseline = BaselineScores(**vars(scores), difference=difference)
    patterns = score_patterns(cohort, predicted, settings)
    return verdict_of(TASK, scores, {"logistic": {TASK: baseline}} if difference else {}, patterns)


def test_a_good_model_is_usable_and_says_for_whom():
    verdict = judged(predictions(1.5), difference=[0.01, -0.02, 0.04])
    assert verdict.word == "usable"
    discrimination, calibration, whom = verdict.reasons
    assert "not detectably different from the best simple model, logistic" in discrimination
    assert "not found too extreme or too moderate" in calibration
    assert "test patients with a known outcome" in whom and "hcat evaluate" in whom


def test_a_model_no_better_than_chance_is_not_known():
    verdict = judged(predictions(0.0))
    assert verdict.word == "not known"
    assert "does not exclude a model no better than chance" in verdict.reasons[0]
    assert "no simple model was fitted" in verdict.reasons[0]


@pytest.mark.parametrize(("stretch", "said"), [(4.0, "too extreme"), (0.25, "too moderate")])
def test_a_model_with_wrong_probabilities_is_not_usable(stretch, said):
    verdict = judged(predictions(1.5, stretch))
    assert verdict.word == "not usable" and said in verdict.reasons[1]


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
