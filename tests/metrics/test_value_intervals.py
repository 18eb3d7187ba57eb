"""Intervals of predicted numbers: nine of ten further patients, whatever the model says of itself."""

import numpy as np
import pytest
import torch

from hcat_core.interfaces import Prediction
from hcat_core.metrics.value_intervals import ValueIntervals, covering


def predicted(value, half=None):
    estimate = torch.from_numpy(np.stack([np.full(len(value), 0.5), value], axis=1))
    ends = None
    if half is not None:
        nothing = np.full(len(value), np.nan)
        low, high = (np.stack([nothing, value + sign * half], axis=1) for sign in (-1, 1))
        ends = torch.from_numpy(np.stack([low, high], axis=2))
    return Prediction.of_estimate(estimate, (1,), interval=ends)


def draw(rng, n, wide=1.0):
    """Values around predictions with an error that differs between patients, and a model's guess of it."""
    value, sd = rng.normal(size=n), rng.uniform(0.2, 2.0, n)
    outcome = value + sd * rng.standard_t(4, size=n)
    return value, wide * sd, np.stack([np.full(n, np.nan), outcome], axis=1)


@pytest.mark.parametrize("wide", [None, 0.3, 5.0])
def test_ninety_per_cent_of_further_patients_are_within_their_interval(wide):
    rng, held_out, further = np.random.default_rng(0), 200, 4000
    covered = []
    for _ in range(20):
        value, half, outcome = draw(rng, held_out, wide or 1.0)
        found = ValueIntervals.fit(predicted(value, half if wide else None), outcome, (1,))
        value, half, outcome = draw(rng, further, wide or 1.0)
        after = found.apply(predicted(value, half if wide else None))
        covered.append(np.mean((after.low[:, 1] <= outcome[:, 1]) & (outcome[:, 1] <= after.high[:, 1])))
    # Of one set of held-out patients, coverage varies with sd 0.021; the mean of 20 by 0.005.
    error = np.sqrt(0.9 * 0.1 / held_out / 20)
    assert np.mean(covered) == pytest.approx(0.9, abs=3 * error + 1 / held_out)


def test_a_model_that_knows_whose_value_is_uncertain_keeps_that():
    rng = np.random.default_rng(1)
    value, half, outcome = draw(rng, 500)
    after = ValueIntervals.fit(predicted(value, half), outcome, (1,)).apply(predicted(value, half))
    width = after.high[:, 1] - after.low[:, 1]
    assert np.corrcoef(width, half)[0, 1] > 0.999
    alike = ValueIntervals.fit(predicted(value), outcome, (1,)).apply(predicted(value))
    assert np.ptp(alike.high[:, 1] - alike.low[:, 1]) < 1e-9 and np.isnan(alike.low[:, 0]).all()


def test_of_fewer_than_nine_held_out_values_no_interval_can_be_made():
    rng = np.random.default_rng(2)
    for n, known in ((8, False), (9, True)):
        value, half, outcome = draw(rng, n)
        after = ValueIntervals.fit(predicted(value, half), outcome, (1,)).apply(predicted(value, half))
        assert np.isfinite(after.low[:, 1]).all() == known


def test_records_of_one_group_count_as_one_patient():
    score = np.arange(1.0, 31.0)
    assert covering(score, np.full(30, 1.0)) == 28.0
    assert covering(score, np.full(30, 1 / 3)) == 30.0  # ten groups: as the largest of ten
    assert covering(score, np.full(30, 1 / 10)) is None


def test_of_many_records_of_eight_patients_no_interval_can_be_made():
    value, half, outcome = draw(np.random.default_rng(3), 40)
    groups = np.arange(40) % 8
    alone, grouped = (
        ValueIntervals.fit(predicted(value, half), outcome, (1,), of).apply(predicted(value, half))
        for of in (None, groups)
    )
    assert np.isfinite(alone.low[:, 1]).all() and not np.isfinite(grouped.low[:, 1]).any()
