"""Several horizons of one event: probabilities rise with time, across tasks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from hcat_core.cohort import Task
from hcat_core.interfaces import Prediction
from hcat_core.metrics.horizons import on_one_curve, tasks_by_event

TIMES = ("days", "dead")
TASKS = (
    Task("death_5y", 1826.0, "death_5y", times=TIMES),
    Task("relapse", 730.0, "relapse", times=("days_relapse", "relapse")),
    Task("death_3y", 1096.0, "death_3y", times=TIMES),
    Task("net", 1096.0, "net", competing="relapse", times=TIMES),
)


def test_tasks_of_one_event_share_times_and_competing_events():
    labels_alone = (Task("a", 100.0, "a"), Task("b", 200.0, "b"))
    assert tasks_by_event(TASKS) == [(0, 2), (1,), (3,)]
    assert tasks_by_event(labels_alone) == [(0,), (1,)]


@given(st.integers(0, 10_000), st.booleans())
def test_no_one_is_likelier_to_have_the_event_by_three_years_than_by_five(seed, timed):
    rng = np.random.default_rng(seed)
    curve = np.sort(rng.random((6, 4, 12)), axis=2)
    interval = np.sort(rng.random((6, 4, 3)), axis=2)
    p = torch.from_numpy(curve[..., -1] if timed else interval[..., 1])
    ends = None if timed else torch.from_numpy(interval[..., [0, 2]])
    before = Prediction(p, torch.from_numpy(curve) if timed else None, ends)
    after = on_one_curve(before, TASKS)
    probability = after.probability
    assert (probability[:, 2] <= probability[:, 0] + 1e-12).all()
    assert (after.event_probability[:, [1, 3]] == p[:, [1, 3]]).all()
    if timed:
        assert np.allclose(after.curves[..., -1], probability)
        days = np.concatenate([TASKS[0].curve_days, TASKS[2].curve_days])
        order = np.argsort(days, kind="stable")
        found = after.curves[:, [0, 2]].reshape(6, -1)[:, order]
        for row, values in zip(found, curve[:, [0, 2]].reshape(6, -1)[:, order], strict=True):
            nearest = IsotonicRegression().fit_transform(np.arange(24), values)
            assert row == pytest.approx(nearest, abs=1e-9)
    else:
        assert (after.low <= probability).all() and (probability <= after.high).all()
        coherent = before.probability[:, 2] <= before.probability[:, 0]
        assert np.allclose(probability[coherent], before.probability[coherent])
