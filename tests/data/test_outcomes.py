"""Outcomes: unknown is not event-free, and a label may not contradict its own time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcat_core.data.outcomes import derive_labels, read_targets, with_competing_events
from hcat_core.data.schema import TargetsTable
from hcat_core.errors import DataError
from hcat_core.interfaces import ColumnTable


class Columns:
    source = "clinical.h5"

    def __init__(self, **columns):
        self.columns = {name: np.array(values) for name, values in columns.items()}

    def read(self):
        raise AssertionError("outcomes are columns")

    def read_columns(self, names):
        ids = np.array([f"P{i}" for i in range(len(self.columns[names[0]]))])
        return ColumnTable(ids, {name: self.columns[name] for name in names})


def table(**task):
    return TargetsTable(path="clinical.h5", tasks={"survival": {"horizon_days": 100, **task}})


def test_a_patient_censored_before_the_horizon_is_unknown():
    labels = derive_labels(np.array([50.0, 50.0, 150.0, 150.0, np.nan]), np.array([1, 0, 1, 0, 1]), 100)
    assert labels.tolist() == [1, -1, 0, 0, -1]


@given(
    st.lists(st.tuples(st.floats(0, 300), st.sampled_from([-1, 0, 1])), min_size=1),
    st.floats(1, 300),
)
def test_nobody_is_event_free_without_being_followed_to_the_horizon(pairs, horizon):
    time = np.array([t for t, _ in pairs])
    event = np.array([e for _, e in pairs])
    labels = derive_labels(time, event, horizon)
    assert (time[labels == 0] >= horizon).all()
    assert (event[labels == 1] == 1).all() and (time[labels == 1] <= horizon).all()
    assert (labels[event == -1] == -1).all()


def test_labels_that_disagree_with_their_times_stop_with_counts():
    reader = Columns(y=[0, 0, 1, 0], t=[50.0, 50.0, 150.0, 150.0], e=[0, 1, 1, 0])
    with pytest.raises(DataError, match=r"2 labels say the opposite, 1 patients censored"):
        read_targets(reader, table(label="y", time="t", event="e"))


def test_a_label_alone_and_a_time_alone_are_enough():
    reader = Columns(y=[0.0, 1.0, np.nan], t=[150.0, 50.0, 50.0], e=[0, 1, 0])
    _, by_label = read_targets(reader, table(label="y"))
    tasks, by_time = read_targets(reader, table(time="t", event="e", outcome="death"))
    assert by_label.targets.labels[:, 0].tolist() == [0, 1, -1]
    assert by_time.targets.labels[:, 0].tolist() == [0, 1, -1]
    assert by_time.targets.time[1, 0] == 50 and by_label.targets.time.isnan().all()
    assert tasks[0].outcome == "death"


@pytest.mark.parametrize(
    ("columns", "task", "message"),
    [
        ({"y": [0, 2, 3]}, {"label": "y"}, "2 cells are not 1 .*: row 1 .counted from 0. 2, row 2 3"),
        ({"t": [-1.0], "e": [1]}, {"time": "t", "event": "e"}, "1 time is negative: row 0 .counted from 0. -1"),
        ({"t": [1.0]}, {"time": "t"}, "belong together"),
        ({"y": ["dead"]}, {"label": "y"}, '1 cell is not 1 .*: row 0 .counted from 0. "dead"'),
    ],
)
def test_values_that_are_no_outcome_are_refused(columns, task, message):
    with pytest.raises(DataError, match=message):
        read_targets(Columns(**columns), table(**task))


def test_a_competing_event_first_makes_a_patient_event_free_and_is_no_censoring():
    """Death: 300, alive, 800, 290.4 days. Recurrence: censored at death, at 900, seen at 200, censored at 290."""
    tasks = {
        "survival": {"horizon_days": 1000, "time": "td", "event": "d"},
        "recurrence": {"horizon_days": 700, "time": "tr", "event": "r", "competing": "survival"},
    }
    reader = Columns(td=[300, 900, 800, 290.4, 650], d=[1, 0, 1, 1, 1], tr=[300, 900, 200, 290, 400], r=[0, 0, 1, 0, 0])
    read, outcomes = read_targets(reader, TargetsTable(path="x.h5", tasks=tasks))
    targets = outcomes.targets
    # The last patient left the follow-up for recurrence long before death: what came first is not known.
    assert targets.event[:, 1].tolist() == [2, 0, 1, 2, 0]
    assert targets.labels[:, 1].tolist() == [0, 0, 1, 0, -1]
    assert targets.labels[:, 0].tolist() == [1, -1, 1, 1, 1] and targets.event[:, 0].max() == 1
    assert read[1].times == ("tr", "r")


def test_a_column_of_labels_may_leave_open_what_became_of_patients_with_the_competing_event():
    tasks = {
        "survival": {"horizon_days": 1000, "time": "td", "event": "d"},
        "recurrence": {"horizon_days": 700, "label": "y", "time": "tr", "event": "r", "competing": "survival"},
    }
    reader = Columns(td=[300, 900], d=[1, 0], tr=[300, 300], r=[0, 0], y=[-1, -1])
    _, outcomes = read_targets(reader, TargetsTable(path="x.h5", tasks=tasks))
    assert outcomes.targets.labels[:, 1].tolist() == [0, -1]


@given(
    st.lists(
        st.tuples(st.floats(1, 300), st.sampled_from([-1, 0, 1]), st.floats(1, 300), st.sampled_from([-1, 0, 1])),
        min_size=1,
    )
)
def test_only_a_censored_follow_up_can_end_with_a_competing_event(rows):
    time, event, other_time, other_event = (np.array(column) for column in zip(*rows, strict=True))
    until, cause = with_competing_events(time, event, other_time, other_event)
    assert ((cause == 2) <= ((event == 0) & (other_event == 1))).all()
    assert (cause[cause != 2] == event[cause != 2]).all() and (until <= time).all()
    assert (until[cause != 2] == time[cause != 2]).all()


def test_what_a_label_leaves_open_is_told_by_time_and_event():
    reader = Columns(y=[-1, -1, -1, 1], t=[50.0, 150.0, 50.0, 50.0], e=[1, 0, 0, 1])
    _, outcomes = read_targets(reader, table(label="y", time="t", event="e"))
    assert outcomes.targets.labels[:, 0].tolist() == [1, 0, -1, 1]


def test_a_label_of_an_event_that_the_event_column_denies_is_refused():
    reader = Columns(y=[1, 0], t=[50.0, 150.0], e=[0, 0])
    with pytest.raises(DataError, match="1 with the event"):
        read_targets(reader, table(label="y", time="t", event="e"))


def test_an_event_on_the_day_of_a_horizon_that_is_no_whole_day_is_on_time():
    reader = Columns(t=[100.3, 100.3], e=[1, 0])
    found = TargetsTable(path="x.h5", tasks={"survival": {"horizon_days": 100.3, "time": "t", "event": "e"}})
    (task,), outcomes = read_targets(reader, found)
    assert outcomes.targets.labels[:, 0].tolist() == [1, 0]
    assert outcomes.targets.time[0, 0].double().item() == task.horizon_days
