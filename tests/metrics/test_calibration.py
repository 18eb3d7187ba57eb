"""The calibration slope and intercept."""

import numpy as np
import pytest

from hcat_core.metrics.calibration import calibration


def test_the_calibration_slope_recovers_how_far_logits_were_stretched():
    rng = np.random.default_rng(0)
    z = rng.standard_normal(20_000)
    label = (rng.random(20_000) < 1 / (1 + np.exp(-z))).astype(int)
    label[:100] = -1
    for stretch, shift in ((1.0, 0.0), (2.0, 0.0), (1.0, 0.7)):
        found = calibration(1 / (1 + np.exp(-(stretch * z - shift))), label)
        assert found.calibration_slope == pytest.approx(1 / stretch, abs=0.05)
        if stretch == 1.0:
            assert found.calibration_intercept == pytest.approx(shift, abs=0.05)
