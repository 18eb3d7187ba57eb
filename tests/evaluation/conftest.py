"""A cohort with outcomes of every kind, and predictions of it with some skill."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.evaluation.scores import ScoringSettings
from hcat_core.interfaces import Prediction
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.synth.other_outcomes import to_other_cohort

SYNTHETIC = generate(SynthSpec(patients=300, widths={"a": 4, "b": 4}, seed=3))
MIXED, TRUTH = to_other_cohort(SYNTHETIC)
SUBTYPE, SCORE = MIXED.layout.outcomes[-2:]
HALF = 10 * 0.5 * 1.645  # of an interval of the score that holds nine of ten values, given the truth


def best_prediction(stretch=1.0, shift=0.0, half=HALF):
    """What the truth predicts: classes with stretched logarithms, values moved by ``shift``."""
    shape = len(MIXED), len(MIXED.layout.tasks)
    probability, value = np.full(shape, 0.5), np.full(shape, np.nan)
    powers = TRUTH.probability**stretch
    probability[:, list(SUBTYPE.columns)] = powers / powers.sum(axis=1, keepdims=True)
    column = SCORE.columns[0]
    probability[:, column], value[:, column] = np.nan, TRUTH.expected + shift
    interval = np.stack([value - half, value + half], axis=-1)
    return Prediction(
        torch.from_numpy(probability), None, torch.from_numpy(interval), torch.from_numpy(value)
    )


@pytest.fixture(scope="session")
def mixed():
    """300 patients with two events, an outcome of three classes (subtype) and a number (score)."""
    return MIXED


@pytest.fixture(scope="session")
def predicted():
    """Function that gives what the truth predicts of ``mixed``."""
    return best_prediction


@pytest.fixture
def settings():
    """Settings with 50 resamples; the patients are their own training patients."""
    return ScoringSettings([0.5] * len(MIXED.layout.tasks), MIXED.targets, 50, 0)


@pytest.fixture
def without():
    """Function that makes outcomes of ``mixed`` unknown in some rows."""

    def make(rows):
        targets = MIXED.targets
        labels, values = targets.labels.clone(), targets.values.clone()
        labels[rows], values[rows] = -1, torch.nan
        return replace(MIXED, targets=replace(targets, labels=labels, values=values))

    return make
