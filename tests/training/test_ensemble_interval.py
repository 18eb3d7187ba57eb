"""The interval of an ensemble's probability."""

import numpy as np
import pytest

from hcat_core.metrics.recalibration import sigmoid
from hcat_core.training.ensemble_interval import combine_members, jackknife_variance
from hcat_core.training.inference import SampledPredictions


def members(logits):
    """Members from logits (K, S, N)."""
    curve = np.zeros((logits.shape[2], 1, 12))
    return [SampledPredictions(sigmoid(z)[..., None], curve) for z in logits]


def width(prediction):
    return (prediction.high - prediction.low)[:, 0]


def test_members_and_draws_that_agree_leave_no_interval():
    prediction = combine_members(members(np.full((5, 4, 3), 0.3)))
    assert prediction.probability[:, 0] == pytest.approx(np.full(3, sigmoid(np.array(0.3))))
    assert width(prediction) == pytest.approx(0, abs=1e-9)


def test_it_is_wider_where_members_disagree_and_where_draws_do():
    rng = np.random.default_rng(0)
    agree = np.zeros((5, 16, 1))
    of_members = agree + rng.standard_normal((5, 1, 1))
    of_draws = agree + rng.standard_normal((1, 16, 1))
    both = of_members + of_draws
    narrow, one, two, wide = (
        float(width(combine_members(members(z)))[0]) for z in (agree, of_members, of_draws, both)
    )
    assert narrow < min(one, two) and wide > max(one, two)


def test_its_variance_is_rubins():
    rng = np.random.default_rng(1)
    z = 0.1 * rng.standard_normal((5, 1, 1)) + 0.2 * rng.standard_normal((1, 8, 1))
    prediction = combine_members(members(z))
    within = jackknife_variance(z.mean(axis=1))[0]
    between = z.mean(axis=0)[:, 0].var(ddof=1)
    expected = 2 * 1.6448536 * np.sqrt(within + (1 + 1 / 8) * between)
    ends = np.log(prediction.high / (1 - prediction.high)) - np.log(prediction.low / (1 - prediction.low))
    assert ends[0, 0] == pytest.approx(expected, rel=1e-4)


def test_the_jackknife_finds_the_variance_of_a_mean():
    # Each of 5 estimates is the mean of four fifths of 200 values.
    rng = np.random.default_rng(2)
    found = []
    for _ in range(300):
        groups = rng.standard_normal((5, 40)).mean(axis=1)
        found.append(jackknife_variance((groups.sum() - groups) / 4))
    assert np.mean(found) == pytest.approx(1 / 200, rel=0.1)


def test_one_sample_a_member_gives_no_interval():
    assert combine_members(members(np.zeros((5, 1, 2)))).interval is None
