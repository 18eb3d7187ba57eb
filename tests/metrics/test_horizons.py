"""Several horizons of one event: probabilities rise with time, across tasks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from hcat_core.interfaces import Prediction
from hcat_core.layout import Task
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


def shaped(seed, curves):
    """A prediction of six patients with intervals; curves of all four tasks, of the first, or none."""
    rng = np.random.default_rng(seed)
    curve = np.sort(rng.random((6, 4, 12)), axis=2)
    spread = np.sort(rng.random((6, 4, 2)), axis=2)
    p = curve[..., -1]
    ends = np.stack([p * spread[..., 0], p + (1 - p) * spread[..., 1]], axis=2)
    if curves == "first":
        curve[:, 1:, :-1] = np.nan
    shown = None if curves == "none" else torch.from_numpy(curve)
    return Prediction(torch.from_numpy(p), shown, torch.from_numpy(ends))


@given(st.integers(0, 10_000), st.sampled_from(["all", "first", "none"]))
def test_no_one_is_likelier_to_have_the_event_by_three_years_than_by_five(seed, curves):
    before = shaped(seed, curves)
    after = on_one_curve(before, TASKS)
    p = after.probability
    assert (p[:, 2] <= p[:, 0]).all() and ((p >= 0) & (p <= 1)).all()
    assert (after.low <= p + 1e-12).all() and (p <= after.high + 1e-12).all()
    assert (after.curves[..., -1] == p).all()
    assert (p[:, [1, 3]] == before.probability[:, [1, 3]]).all()
    for row, values in zip(p[:, [2, 0]], before.probability[:, [2, 0]], strict=True):
        assert row == pytest.approx(IsotonicRegression().fit_transform([0, 1], values))
    if curves == "all":
        assert (np.diff(after.curves, axis=2) >= -1e-12).all()
        three, five = after.curves[:, 2], after.curves[:, 0]
        by_three = np.array([np.interp(1096.0, TASKS[0].curve_days, row) for row in five])
        between = (five[:, 6] - 1e-9 <= three[:, -1]) & (three[:, -1] <= five[:, 7] + 1e-9)
        assert between.all() and np.abs(by_three - three[:, -1]).max() < 0.3  # one curve, at other days


def test_probabilities_that_rise_stay_as_they_are_to_the_bit():
    """However the curve of the later horizon runs before the earlier one."""
    before = shaped(1, "all")
    p = before.event_probability.clone()
    p[:, [2, 0]] = p[:, [2, 0]].sort(dim=1).values
    curve = before.curve.clone()
    curve[:, :, -1] = p
    after = on_one_curve(Prediction(p, curve), TASKS)
    assert torch.equal(after.event_probability, p)
