"""Sums over pairs of a place and a rank."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hcat_core.metrics.weights_below import weights_below


@given(st.integers(0, 40), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_it_equals_the_sum_over_all_pairs(n, queries, seed):
    rng = np.random.default_rng(seed)
    rank, weight = rng.integers(0, n // 2 + 1, n), rng.random(n)
    upto, below = rng.integers(0, n + 1, queries), rng.integers(0, n // 2 + 2, queries)
    found = weights_below(rank, weight, upto, below)
    expected = [weight[:k][rank[:k] < b].sum() for k, b in zip(upto, below, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_ranks_below_a_power_of_two_and_the_power_itself():
    rank = np.array([3, 0, 4, 7, 8])
    found = weights_below(rank, np.ones(5), np.full(4, 5), np.array([4, 8, 9, 0]))
    assert found.tolist() == [2, 4, 5, 0]
