"""What an exported pipeline does to probabilities and curves is what a run does to them."""

import numpy as np
import pytest
import torch

from hcat_core.interfaces import Prediction
from hcat_core.layout import Task
from hcat_core.metrics.horizons import on_one_curve
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.training.traceable_recalibration import TraceableRecalibration

TIMES = ("days", "dead")
TASKS = (
    Task("death_5y", 1826.0, "death_5y", times=TIMES),
    Task("relapse", 730.0, "relapse", times=("days_relapse", "relapse")),
    Task("death_3y", 1096.0, "death_3y", times=TIMES),
    Task("msi", None, "msi"),
)
FITTED = Recalibration((0.3, -0.2, 0.9, 0.0), (0.7, 1.4, 1.0, 0.5))


@pytest.mark.parametrize("recalibration", [Recalibration.none(4), FITTED])
@pytest.mark.parametrize("curves", ["all", "without", "flat"])
def test_it_is_that_of_a_run(recalibration, curves):
    # Unsorted over tasks: the risk of death at five years is often below that at three.
    curve = np.sort(np.random.default_rng(0).random((50, 4, 12)), axis=2)
    curve[:, 3, :-1] = np.nan
    if curves == "without":
        curve[:, 2, :-1] = np.nan
    if curves == "flat":
        curve[:10] = 0.0
        curve[10:20] = curve[10:20, :, -1:]
    prediction = Prediction(torch.from_numpy(curve[..., -1]), torch.from_numpy(curve))
    expected = on_one_curve(recalibration.apply(prediction), TASKS)
    found = TraceableRecalibration(recalibration, TASKS)(prediction.event_probability, prediction.curve)
    np.testing.assert_allclose(found[0], expected.probability, atol=1e-12)
    np.testing.assert_allclose(found[1], expected.curves, atol=1e-12)
