"""The net benefit of decision curves."""

import numpy as np
import pytest

from hcat_core.report.performance_figures import net_benefit


def test_net_benefit_of_a_perfect_model_and_of_treating_everyone_and_no_one():
    y = np.array([1] * 30 + [0] * 70)
    cuts = np.array([0.1, 0.5, 0.8])
    equal_weights = np.ones(100)
    assert net_benefit(y.astype(float), y, equal_weights, cuts) == pytest.approx([0.3, 0.3, 0.3])
    everyone = net_benefit(np.ones(100), y, equal_weights, cuts)
    assert everyone == pytest.approx(0.3 - 0.7 * cuts / (1 - cuts))
    assert net_benefit(np.zeros(100), y, equal_weights, cuts) == pytest.approx([0, 0, 0])
    # A patient with weight 2 counts twice.
    twice = np.r_[np.full(30, 2.0), np.ones(70)]
    assert net_benefit(np.ones(100), y, twice, cuts) == pytest.approx(
        0.6 / 1.3 - 0.7 / 1.3 * cuts / (1 - cuts)
    )
