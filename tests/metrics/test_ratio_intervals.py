"""Intervals of ratios of sums over patients: against resampling one by one, and against the truth."""

import numpy as np
import pytest

from hcat_core.metrics.intervals import Resampling
from hcat_core.metrics.ratio_intervals import ratio_intervals


def interval(above, below, groups=None, resamples=2000):
    (found,) = ratio_intervals(above[:, None], below[:, None], Resampling(resamples, 0, groups))
    return found


def test_the_interval_is_that_of_patients_drawn_one_by_one():
    rng = np.random.default_rng(0)
    above, below = rng.gamma(2, size=80), rng.gamma(5, size=80)
    again = [
        above[rows].sum() / below[rows].sum() for rows in (rng.integers(0, 80, 80) for _ in range(4000))
    ]
    assert interval(above, below) == pytest.approx(np.quantile(again, [0.025, 0.975]), rel=0.02)


def test_a_mean_of_those_who_have_a_modality_is_in_its_interval_19_times_of_20():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        has = (rng.random(120) < 0.6).astype(float)
        low, high = interval(rng.normal(3, 1, 120) * has, has, resamples=300)
        held += low <= 3 <= high
    assert 0.91 <= held / 300 <= 0.98


def test_records_of_one_group_are_drawn_together():
    rng = np.random.default_rng(2)
    of_group = rng.normal(size=60)
    values, groups = np.repeat(of_group, 4), np.repeat(np.arange(60), 4)
    apart, together = (
        high - low for low, high in (interval(values, np.ones(240), g) for g in (None, groups))
    )
    assert together == pytest.approx(2 * apart, rel=0.15)


def test_few_patients_and_no_resamples_have_no_interval():
    has = np.r_[np.ones(19), np.zeros(81)]
    assert interval(has, has) is None
    assert interval(np.ones(100), np.ones(100), np.arange(100) % 19) is None
    assert interval(np.ones(100), np.ones(100), resamples=0) is None
    assert (
        ratio_intervals(np.ones((100, 2)), np.stack([has, np.ones(100)], axis=1), Resampling(10, 0))[0]
        is None
    )
