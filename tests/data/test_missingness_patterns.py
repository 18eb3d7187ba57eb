"""The combinations of modalities that patients have."""

import torch

from hcat_core.data.missingness_patterns import count_patterns


def test_patterns_are_counted_the_most_frequent_first_and_of_equals_the_fuller_one():
    both, first, second = (True, True), (True, False), (False, True)
    present = torch.tensor([first, both, second, both, both, first, second])
    assert count_patterns(present) == [(both, 3), (first, 2), (second, 2)]
    assert count_patterns(present[:0]) == []
