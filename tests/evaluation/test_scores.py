"""Scores by task, and what depends on the size of a group."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from hcat_core.data.splits import Split
from hcat_core.evaluation.analysis import score_patterns
from hcat_core.evaluation.scores import FEWEST_FOR_SLOPE, ScoringSettings, score_split, score_tasks
from hcat_core.interfaces import Prediction
from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.discrimination import binary_metrics
from hcat_core.metrics.recalibration import sigmoid
from hcat_core.metrics.survival import known_weights
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


def test_a_group_has_the_same_keys_and_a_slope_only_with_ten_of_the_rarer_outcome():
    rarer = [row for row in range(300) if LABELS[row, 0] == 1][: FEWEST_FOR_SLOPE - 1]
    others = [row for row in range(300) if LABELS[row, 0] == 0][:40]
    rows = np.array(sorted(rarer + others))
    part, predicted = COHORT[torch.from_numpy(rows)], PREDICTED[rows]
    whole = score_tasks(part, predicted, SETTINGS)["survival"]
    group = score_tasks(part, predicted, SETTINGS, slope_from=FEWEST_FOR_SLOPE)["survival"]
    assert whole.calibration_slope is not None and group.calibration_slope is None
    assert list(whole.as_json()) == list(group.as_json())
    assert group.auc == whole.auc


def test_a_side_without_patients_has_counts_of_zero_and_no_scores():
    rows = torch.arange(300)
    split = Split(rows[:200], rows[:0], rows[200:], rows[:0])
    scores = score_split(COHORT, split, PREDICTED, SETTINGS)
    assert list(scores) == ["train", "validation", "test"]
    empty = scores["validation"]["survival"].as_json()
    assert (empty.pop("patients"), empty.pop("events"), empty.pop("threshold")) == (0, 0, 0.4)
    assert set(empty.values()) == {None}


def test_patterns_are_scored_separately_and_cover_all_patients():
    patterns = score_patterns(COHORT, PREDICTED, replace(SETTINGS, resamples=0))
    assert [p.patients for p in patterns] == sorted((p.patients for p in patterns), reverse=True)
    assert sum(p.patients for p in patterns) == len(COHORT)
    known = sum(p.tasks["survival"].patients for p in patterns)
    assert known == int((LABELS[:, 0] >= 0).sum())
