"""Scores by task, and what depends on the size of a group."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from hcat_core.data.splits import Split
from hcat_core.evaluation.analysis import score_patterns
from hcat_core.evaluation.scores import ScoringSettings, score_split, score_tasks
from hcat_core.interfaces import Prediction
from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.censoring import known_weights
from hcat_core.metrics.discrimination import binary_metrics
from hcat_core.metrics.fewest import FEWEST_OF_EACH
from hcat_core.metrics.recalibration import sigmoid
from hcat_core.metrics.time_to_event import time_metrics
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate

COHORT = to_cohort(generate(SynthSpec(patients=300, widths=dict.fromkeys("abc", 4), seed=3)))
LABELS = COHORT.targets.labels.numpy()
P = sigmoid(np.where(LABELS > 0, 0.4, -0.6) + np.random.default_rng(0).normal(0, 1, LABELS.shape))
PREDICTED = Prediction(torch.from_numpy(P))
SETTINGS = ScoringSettings([0.4, 0.3], COHORT.targets, 50, 0)


def test_the_scores_of_a_task_are_those_of_the_metrics():
    scores = score_tasks(COHORT, PREDICTED, SETTINGS)
    assert list(scores) == list(COHORT.layout.task_names)
    for column, task in enumerate(COHORT.layout.tasks):
        weights = known_weights(COHORT.targets, column, task.horizon_days, COHORT.targets)
        expected = {
            **asdict(binary_metrics(P[:, column], LABELS[:, column], SETTINGS.thresholds[column], weights)),
            **asdict(calibration(P[:, column], LABELS[:, column], weights)),
            **asdict(
                time_metrics(task, column, COHORT.targets, COHORT.targets, PREDICTED.curves[:, column])
            ),
        }
        document = scores[task.name].as_json()
        assert expected.items() <= document.items()
        assert document["auc_95"][0] < document["auc"] < document["auc_95"][1]
        known = LABELS[:, column] >= 0
        assert document["observed"] == pytest.approx(
            np.average(LABELS[known, column], weights=weights[known])
        )
        json.dumps(document, allow_nan=False)


def test_unweighted_scores_are_kept_under_a_name_that_says_so():
    scores = score_tasks(COHORT, PREDICTED, SETTINGS)["survival"]
    assert scores.unweighted == binary_metrics(P[:, 0], LABELS[:, 0], 0.4)
    assert (
        scores.unweighted.average_precision > scores.average_precision + 0.02
    )  # events are more of the known
    labels_alone = replace(COHORT.targets, event=torch.full_like(COHORT.targets.event, -1))
    plain = score_tasks(replace(COHORT, targets=labels_alone), PREDICTED, SETTINGS)["survival"]
    assert plain.unweighted is None and plain.auc == scores.unweighted.auc


@pytest.mark.parametrize("events", [FEWEST_OF_EACH - 1, FEWEST_OF_EACH])
def test_with_fewer_than_ten_of_an_outcome_there_is_no_interval_and_no_slope(events):
    rarer = np.flatnonzero(LABELS[:, 0] == 1)[:events]
    rows = np.sort(np.r_[rarer, np.flatnonzero(LABELS[:, 0] == 0)[:40]])
    scores = score_tasks(COHORT[torch.from_numpy(rows)], PREDICTED[rows], SETTINGS)["survival"]
    given = (scores.auc_95, scores.calibration_slope, scores.calibration_intercept)
    assert [value is not None for value in given] == [events >= FEWEST_OF_EACH] * 3
    assert scores.auc is not None and scores.average_precision_95 is None


def test_a_side_without_patients_has_counts_of_zero_and_no_scores():
    rows = torch.arange(300)
    split = Split(rows[:200], rows[:0], rows[200:], rows[:0])
    scores = score_split(COHORT, split, PREDICTED, SETTINGS)
    assert list(scores) == ["train", "validation", "test"]
    empty = scores["validation"]["survival"].as_json()
    counts = [empty.pop(name) for name in ("patients", "events", "rarer_outcome", "threshold")]
    assert counts == [0, 0, 0, 0.4]
    assert set(empty.values()) == {None}


def test_patterns_are_scored_separately_and_cover_all_patients():
    patterns = score_patterns(COHORT, PREDICTED, replace(SETTINGS, resamples=0))
    assert [p.patients for p in patterns] == sorted((p.patients for p in patterns), reverse=True)
    assert sum(p.patients for p in patterns) == len(COHORT)
    known = sum(p.tasks["survival"].patients for p in patterns)
    assert known == int((LABELS[:, 0] >= 0).sum())


def test_records_of_a_patient_go_together_in_every_interval():
    """Each patient three times: intervals stay as wide as of one record each."""
    rows = torch.arange(300).repeat_interleave(3)
    three = replace(COHORT[rows], groups=tuple(f"G{row}" for row in rows.tolist()))
    predicted = PREDICTED[rows.numpy()]
    settings = replace(SETTINGS, resamples=400)
    once = score_tasks(COHORT, PREDICTED, settings)["survival"]
    grouped = score_tasks(three, predicted, settings)["survival"]
    records = score_tasks(replace(three, groups=None), predicted, settings)["survival"]
    for name in ("auc_95", "average_precision_95", "c_index_95", "calibration_slope_95"):
        width = {scores: np.ptp(getattr(scores, name)) for scores in (once, grouped, records)}
        assert width[grouped] == pytest.approx(width[once], rel=0.15), name
        assert width[records] < 0.75 * width[once], name
    assert grouped.rarer_outcome == once.rarer_outcome and records.rarer_outcome == 3 * once.rarer_outcome
