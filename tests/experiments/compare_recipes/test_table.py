"""Calibration of all folds together: what its intervals are of, and from how many patients it is given."""

import numpy as np
import pytest

from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.experiments.compare_recipes.table import patients_with_rarer_outcome, pooled_calibration


def folds_of(probability, repeats=1):
    """Results of one recipe that gives the (N,) patients these probabilities, in two folds a repeat."""
    rows = np.arange(len(probability))
    return [
        FoldResult(
            "a",
            repeat,
            fold,
            {"survival": FoldScores({}, half.tolist(), probability[half].tolist(), [1.0] * len(half))},
        )
        for repeat in range(repeats)
        for fold, half in enumerate((rows[::2], rows[1::2]))
    ]


def simulated(patients, seed):
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=patients)
    probability = 1 / (1 + np.exp(-logit))
    return probability, (rng.random(patients) < probability).astype(int)


def test_records_of_one_group_widen_the_interval_of_the_slope():
    probability, labels = simulated(100, 0)
    groups = np.repeat(np.arange(100), 3)
    results, labels = folds_of(probability[groups]), labels[groups]
    alone = pooled_calibration(results, "survival", labels, None)
    together = pooled_calibration(results, "survival", labels, groups)
    assert alone.slope == together.slope
    ratio = np.ptp(together.slope_95) / np.ptp(alone.slope_95)
    assert ratio == pytest.approx(np.sqrt(3), abs=0.35)


def test_a_group_of_records_counts_once_among_the_fewest():
    labels = np.zeros(60, int)
    labels[3:15] = 1
    results = folds_of(np.linspace(0.1, 0.9, 60))
    groups = np.arange(60) // 3
    assert patients_with_rarer_outcome(results, "survival", labels, None) == 12
    assert patients_with_rarer_outcome(results, "survival", labels, groups) == 4
    assert pooled_calibration(results, "survival", labels, None).slope is not None
    assert pooled_calibration(results, "survival", labels, groups).slope is None


@pytest.mark.parametrize(("events", "given"), [(9, False), (10, True)])
def test_repeats_do_not_make_ten_patients_of_nine(events, given):
    labels = np.zeros(60, int)
    labels[3 : 3 + events] = 1
    found = pooled_calibration(folds_of(np.linspace(0.9, 0.1, 60) ** 3, 3), "survival", labels, None)
    values = (found.slope, found.slope_95, found.intercept, found.intercept_95)
    assert [value is not None for value in values] == [given] * 4
