"""Outcomes as files hold them: units, codings, words, repeated rows. What is not said is an error."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcat_core.data.columns import column_by_patient
from hcat_core.data.outcomes import read_targets
from hcat_core.data.schema import TargetsTable
from hcat_core.errors import DataError
from hcat_core.interfaces import ColumnTable


class Table:
    """A reader of columns that are given: text and objects stay as they are."""

    source = "out.csv"

    def __init__(self, ids=None, **columns):
        self.columns = {name: np.asarray(values, None if _plain(values) else object) for name, values in columns.items()}
        n = len(next(iter(self.columns.values())))
        self.ids = np.array([f"P{row}" for row in range(n)] if ids is None else ids, dtype=object)

    def read(self):
        raise AssertionError("outcomes are columns")

    def read_columns(self, names):
        return ColumnTable(self.ids, {name: self.columns[name] for name in names})


def _plain(values):
    return isinstance(values, np.ndarray) or all(isinstance(value, int | float) for value in values)


def targets(task, **more):
    return TargetsTable(path="out.csv", tasks={"survival": {"horizon_days": 1826, **task}}, **more)


def read(table, task=None, **more):
    """Labels, times, events and findings of one task; by default of the columns t and e."""
    _, outcomes = read_targets(table, targets({"time": "t", "event": "e"} if task is None else task, **more))
    of = outcomes.targets
    return of.labels[:, 0].tolist(), of.time[:, 0].tolist(), of.event[:, 0].tolist(), outcomes.findings


def refusal(table, task=None, **more):
    with pytest.raises(DataError) as error:
        read(table, task, **more)
    return str(error.value)


MANY = st.lists(st.tuples(st.integers(1, 200), st.sampled_from([0, 1, None])), min_size=1, max_size=30)


@given(MANY, st.sampled_from(["days", "months", "years"]), st.data())
def test_whatever_the_unit_and_the_coding_labels_are_the_same(rows, unit, data):
    """``rows`` are months of follow-up and events; the same outcomes in another unit and another coding."""
    months = np.array([time for time, _ in rows], float)
    events = [event for _, event in rows]
    plain = Table(t=months * 30.4375, e=np.array([np.nan if e is None else e for e in events]))
    in_unit = months * {"days": 30.4375, "months": 1, "years": 30.4375 / 365.25}[unit]
    task = {"time": "t", "time_unit": unit}
    coding = data.draw(st.sampled_from(["numbers", "censored", "words", "numbers of two", "text"]))
    words = {"numbers": {0: 0.0, 1: 1.0}, "censored": {0: 1, 1: 0}, "words": {0: "0:LIVING", 1: "1:DECEASED"},
             "numbers of two": {0: 1, 1: 2}, "text": {0: " 0", 1: "1.0 "}}[coding]  # fmt: skip
    gap = data.draw(st.sampled_from([None, "", "[Not Available]"]))
    cells = [gap if event is None else words[event] for event in events]
    task |= {"censored" if coding == "censored" else "event": "e"}
    if coding in ("words", "numbers of two"):
        task["event_values"] = {"event": [words[1]], "none": [words[0]]}
    as_text = data.draw(st.booleans())
    other = Table(t=[f" {time!r}" for time in in_unit.tolist()] if as_text else in_unit, e=cells)
    first, second = read(plain), read(other, task, missing=["[Not Available]"])
    assert first[0] == second[0] and first[2] == second[2]
    np.testing.assert_allclose(first[1], second[1], rtol=1e-6)


def test_a_unit_of_all_tasks_is_that_of_each_that_gives_none():
    table = Table(t=[12.0, 100.0], e=[1, 0])
    _, time, _, _ = read(table, time_unit="years")
    assert time == [pytest.approx(12 * 365.25), pytest.approx(36525)]
    _, time, _, _ = read(table, {"time": "t", "event": "e", "time_unit": "months"}, time_unit="years")
    assert time == [pytest.approx(365.25), pytest.approx(3043.75)]


def test_times_in_a_unit_that_is_too_short_are_asked_about():
    table = Table(OS_MONTHS=[3.0, 130.81], e=[1, 0])
    *_, (finding,) = read(table, {"time": "OS_MONTHS", "event": "e"})
    assert "longest time of OS_MONTHS is 130.81 days, before the horizon of 1826 days" in finding
    assert 'Are the times months? Then give the task time_unit = "months"' in finding
    labels, *_, findings = read(table, {"time": "OS_MONTHS", "event": "e", "time_unit": "months"})
    assert labels == [1, 0] and findings == ()


@pytest.mark.parametrize(
    ("name", "unit", "longest", "horizon", "asks"),
    [
        ("t", "days", 12.0, 1826, 'time_unit = "years"'),  # months would be too short
        ("t", "days", 70.0, 1826, 'time_unit = "months"'),  # years would be implausibly long
        ("t", "days", 50.0, 700, 'time_unit = "months" or time_unit = "years"'),
        ("t", "years", 4.0, 1826, "Shorten horizon_days"),
        ("fu_years", "days", 50.0, 700, 'time_unit = "years"'),
        ("days", "months", 100.0, 3652, "Shorten horizon_days"),
    ],
)
def test_only_units_in_which_the_horizon_is_reached_are_asked_about(name, unit, longest, horizon, asks):
    task = {"time": name, "event": "e", "time_unit": unit, "horizon_days": horizon}
    *_, findings = read(Table(**{name: [1.0, longest], "e": [1, 0]}), task)
    assert findings[0].endswith(f"{asks}.") or asks in findings[0]
    assert ("Are the times" in findings[0]) == asks.startswith("time_unit")


def test_a_name_that_gives_another_unit_is_told_though_the_horizon_is_reached():
    table = Table(survival_months=[30.0, 90.0], e=[1, 0])
    *_, (finding,) = read(table, {"time": "survival_months", "event": "e", "horizon_days": 60})
    assert "are taken as days, and its name says months" in finding
    sure = {"time": "survival_months", "event": "e", "horizon_days": 60, "time_unit": "days"}
    assert read(table, sure)[3] == ()


@pytest.mark.parametrize(
    ("times", "unit", "message"),
    [
        ([-5.0, 10.0, -7.0], "days", "2 times are negative: row 0 (counted from 0) -5, row 2 -7. A time is how long"),
        ([-1.0, 10.0, -1.0], "days", "If -1 means not known: cohort.targets.missing = [-1]"),
        ([20150301.0, 10.0, 5.0], "days", "1 time is beyond 150 years if they are days: row 0 (counted from 0) 20150301"),
        ([60000.0, 10.0, 5.0], "days", "Are they hours, or dates as numbers?"),
        ([4000.0, 10.0, 5.0], "months", "if they are months: row 0 (counted from 0) 4000. Are they days: is time_unit right?"),
        (["2015-03-01", "2016-01-01", ""], "days", "column t holds dates, row 0"),
        (["01.03.2015", "1.1.2016", ""], "days", "column t holds dates"),
        (["12", "NA", "."], "days", 'no number: row 1 (counted from 0) "NA", row 2 "."'),
        (["12", "NA", "."], "days", 'cohort.targets.missing = ["NA", "."]'),
        (["12", "1_000", "12,5"], "days", '2 cells are no number: row 1 (counted from 0) "1_000", row 2 "12,5"'),
        ([np.inf, 10.0, 5.0], "days", "1 cell is no number: row 0 (counted from 0) inf"),
        (["inf", "10", "5"], "days", '1 cell is no number: row 0 (counted from 0) "inf"'),
    ],
)
def test_times_that_are_none_are_refused_with_their_rows(times, unit, message):
    table = Table(t=times, e=[1, 0, 1])
    assert message in refusal(table, {"time": "t", "event": "e", "time_unit": unit})


@pytest.mark.parametrize(
    "dates",
    [
        pd.to_datetime(["2015-03-01", "2016-01-01"]).to_numpy(),
        np.array([date(2015, 3, 1), None], dtype=object),
        np.array([pd.Timestamp("2015-03-01"), pd.NaT], dtype=object),
    ],
)
def test_a_column_of_dates_is_no_time_and_no_event(dates):
    assert "column t holds dates" in refusal(Table(t=dates, e=[1, 0]))
    assert "column y holds dates" in refusal(Table(y=dates), {"label": "y"})


def test_durations_are_days_whatever_the_unit_of_other_times():
    spans = pd.to_timedelta(["400 days", None, "12 hours"]).to_numpy()
    for column in (spans, np.array([pd.Timedelta("400 days"), pd.NaT, pd.Timedelta("12h")], dtype=object)):
        _, time, _, _ = read(Table(t=column, e=[1, 0, 0]), {"time": "t", "event": "e", "horizon_days": 100})
        assert time[0] == 400 and np.isnan(time[1]) and time[2] == 0.5
        assert "durations, which need no unit" in refusal(
            Table(t=column, e=[1, 0, 0]), {"time": "t", "event": "e", "time_unit": "months"}
        )


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (["Dead", "Alive", "Alive"], 'event_values = { event = ["Dead"], none = ["Alive"] }'),
        (["yes", "no", "no"], 'event_values = { event = ["yes"], none = ["no"] }'),
        (["True", "False", "False"], 'event_values = { event = ["True"], none = ["False"] }'),
        (["1:DECEASED", "0:LIVING", "0:LIVING"], 'event_values = { event = ["1:DECEASED"], none = ["0:LIVING"] }'),
        (["1:Recurred/Progressed", "0:DiseaseFree", ""], 'event = ["1:Recurred/Progressed"], none = ["0:DiseaseFree"]'),
        (["Dead", "Alive", "[Unknown]"], 'for those that mean not known cohort.targets.missing = ["[Unknown]"]'),
        ([1, 2, 2], "event_values = { event = [...], none = [...] }"),  # of R: which is which, is not said
        (["A", "B", "B"], "event_values = { event = [...], none = [...] }"),
    ],
)
def test_words_of_an_event_are_an_error_that_proposes_what_to_write(values, line):
    said = refusal(Table(t=[900.0, 2000.0, 2000.0], e=values))
    assert "out.csv: column e:" in said and "row" in said and "(1)" in said
    assert line in said and "cohort.targets.tasks.survival.event_values" in said


def test_values_that_the_recipe_names_are_events_and_no_others():
    table = Table(t=[900.0, 2000.0, 900.0, 900.0], e=["Dead", " Alive", None, "Dead "])
    task = {"time": "t", "event": "e", "event_values": {"event": ["Dead"], "none": ["Alive"]}}
    assert read(table, task)[0] == [1, 0, -1, 1]
    other = Table(t=[900.0, 2000.0, 900.0], e=["Dead", "Alive", "dead"])
    assert '1 cell is neither of cohort.targets.tasks.survival.event_values: "dead" (1); row 2' in refusal(other, task)
    assert read(other, task, missing=["dead"])[2] == [1, 0, -1]


def test_one_column_of_several_events_gives_each_task_its_own():
    """0 alive, 1 death of the disease, 2 death of something else: as competing risks are mostly coded."""
    tasks = {
        "disease": {"time": "t", "event": "e", "event_values": {"event": [1], "none": [0, 2]}, "competing": "other"},
        "other": {"time": "t", "event": "e", "event_values": {"event": ["2"], "none": ["0", "1"]}},
    }
    tasks = {name: {**task, "horizon_days": 1826} for name, task in tasks.items()}
    made, outcomes = read_targets(Table(t=[900.0] * 3, e=[0, 1, 2]), TargetsTable(path="x", tasks=tasks))
    assert outcomes.targets.event.tolist() == [[0, 0], [1, 0], [2, 1]]
    assert made[0].times != made[1].times  # two events, not two horizons of one


def test_words_of_a_label_have_values_too_and_need_no_horizon():
    table = Table(msi=["MSI-H", "MSS", "NA", ""])
    task = {"label": "msi", "label_values": {"event": ["MSI-H"], "none": ["MSS"]}}
    made, outcomes = read_targets(table, TargetsTable(path="x", missing=["NA"], tasks={"msi": task}))
    assert outcomes.targets.labels[:, 0].tolist() == [1, 0, -1, -1]
    assert made[0].horizon_days is None and made[0].output_name == "p_msi" and made[0].curve_days == ()


def test_what_stands_for_not_known_may_be_a_number():
    labels, time, event, _ = read(Table(t=[-9.0, 900.0, 2000.0], e=[1, 9, 0]), missing=[-9, "9"])
    assert labels == [-1, -1, 0] and np.isnan(time[0]) and event == [1, -1, 0]


def test_faults_of_all_columns_are_told_together():
    tasks = {
        "death": {"time": "t", "event": "e", "horizon_days": 10},
        "msi": {"label": "msi"},
    }
    with pytest.raises(DataError) as error:
        read_targets(Table(t=["x"], e=["Dead"], msi=["high"]), TargetsTable(path="x", tasks=tasks))
    assert [line.split(":")[1].split()[1] for line in str(error.value).split("\n")] == ["t", "e", "msi"]


def test_rows_of_slides_that_say_the_same_are_one_patient():
    table = Table(["a", "a", "b", "a"], t=["12", "12.0", "9", ""], e=[1, 1, 0, 1])
    _, outcomes = read_targets(table, targets({"time": "t", "event": "e", "time_unit": "months"}))
    assert outcomes.ids == ("a", "b")
    assert outcomes.targets.time[:, 0].tolist() == [pytest.approx(365.25), pytest.approx(273.9375)]


def test_rows_that_contradict_each_other_are_named_and_all_patients_counted():
    ids = ["a", "a", "b", "b", "c", "c", "d"]
    said = refusal(Table(ids, t=[100, 200, 5, 5, 7, 7, 1], e=[1, 1, 0, 1, 0, 0, 0]))
    assert "2 patients have rows that contradict each other" in said
    assert "row 0 (counted from 0) and row 1: t is 100 and 200" in said and "row 2 (counted from 0) and row 3: e is 0 and 1" in said


@pytest.mark.parametrize("second", ["south", "North", " south "])
def test_a_patient_in_two_groups_is_refused(second):
    table = Table(["a", "a", "b"], site=["north", second, "north"])
    with pytest.raises(DataError, match=r"row 0 .counted from 0. and row 1: site is .north. and"):
        column_by_patient(table, "site", ["a", "b"])


def test_a_group_is_text_without_blanks_and_missing_where_the_recipe_says_so():
    table = Table(["a", "a", "b", "c"], site=[" north", "north ", "NA", ""])
    assert column_by_patient(table, "site", ["a", "b", "c", "d"], ["NA"]) == ["north", None, None, None]
    assert column_by_patient(table, "site", ["b"]) == ["NA"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), min_size=1, max_size=20), st.integers(0, 99))
def test_repeated_rows_are_one_or_an_error_in_any_order(rows, seed):
    order = np.random.default_rng(seed).permutation(len(rows))
    ids, cells = [rows[i][0] for i in order], [rows[i][1] for i in order]
    said = {one: {str(c) for i, c in rows if i == one and c != 0} for one in ids}
    table = Table(ids, side=["" if c == 0 else str(c) for c in cells])
    if any(len(values) > 1 for values in said.values()):
        with pytest.raises(DataError, match="contradict"):
            column_by_patient(table, "side", ids)
    else:
        expected = [next(iter(said[one]), None) for one in ids]
        assert column_by_patient(table, "side", ids) == expected


def test_an_event_at_time_zero_is_told():
    labels, *_, (finding,) = read(Table(t=[0.0, 0.0, 2000.0], e=[1, 0, 0]))
    assert labels == [1, -1, 0] and "1 patient has an event at time 0" in finding


def test_times_of_which_half_are_longer_than_fifty_years_are_told():
    *_, (finding,) = read(Table(t=[41000.0, 42000.0, 30.0], e=[1, 0, 0]))
    assert "half of the times in t are longer than 50 years" in finding


@pytest.mark.parametrize("values", [[True, False, True], np.array([True, False, True]), [True, None, True],
                                    [Decimal(1), Decimal(0), Decimal("1.0")], [b"1", b"0", b" 1"]])  # fmt: skip
def test_whatever_type_a_one_has_it_is_an_event(values):
    event = read(Table(t=[9.0] * 3, e=np.asarray(values, None if isinstance(values, np.ndarray) else object)))[2]
    assert event[0] == event[2] == 1 and event[1] in (0, -1)


def test_last_contact_is_the_time_of_those_without_the_event():
    """TCGA: ``days_to_death`` of the dead, ``days_to_last_followup`` of the others and of some dead."""
    table = Table(
        to_death=[400.0, np.nan, np.nan, np.nan, 900.0],
        followed=[390.0, 2000.0, 300.0, np.nan, np.nan],
        dead=[1, 0, 0, 0, 0],
    )
    task = {"time": "to_death", "last_contact": "followed", "event": "dead", "horizon_days": 730}
    labels, times, _, _ = read(table, task)
    np.testing.assert_array_equal(times, [400, 2000, 300, np.nan, 900])
    assert labels == [1, 0, -1, -1, 0]


def test_last_contact_has_the_unit_of_time_and_its_faults_are_told():
    task = {"time": "t", "last_contact": "f", "event": "e", "horizon_days": 730, "time_unit": "months"}
    _, times, _, _ = read(Table(t=[12.0, np.nan], f=[np.nan, 36.0], e=[1, 0]), task)
    np.testing.assert_allclose(times, [365.25, 1095.75])
    assert "column f" in refusal(Table(t=[12.0, np.nan], f=[1.0, -36.0], e=[1, 0]), task)


def test_an_event_without_a_time_is_unknown_though_the_last_contact_is_known():
    table = Table(t=[np.nan, 10.0], f=[500.0, 20.0], e=[1, 0])
    labels, times, _, _ = read(table, {"time": "t", "last_contact": "f", "event": "e", "horizon_days": 730})
    assert labels[0] == -1 and np.isnan(times[0])


@pytest.mark.parametrize("words", [("True", "False"), ("TRUE", "FALSE"), ("true", "false")])
def test_true_and_false_can_be_named_as_values_though_readers_give_numbers(words):
    table = Table(t=[100, 3000, 200, 2000], e=np.array([1.0, 0.0, np.nan, 1.0]))
    values = {"event": [words[0]], "none": [words[1]]}
    assert read(table, {"time": "t", "event": "e", "event_values": values})[2] == [1, 0, -1, 1]
    alive = {"event": [words[1]], "none": [words[0]]}  # a column that says who is alive
    assert read(table, {"time": "t", "event": "e", "event_values": alive})[2] == [0, 1, -1, 0]


@pytest.mark.parametrize("code", [-9.9, 0.1, 12.7])
def test_what_stands_for_not_known_is_found_in_32_bits_too(code):
    events = [1, 0, 0]
    for kind in (np.float32, np.float64):
        table = Table(t=np.array([code, 3000, 200], kind), e=events)
        assert read(table, missing=[code])[0] == read(table, missing=[str(code)])[0] == [-1, 0, -1]


@pytest.mark.parametrize("cell", ["281 d", "1,234", "> 60", "12 months"])
def test_a_time_with_a_unit_or_a_mark_is_never_proposed_as_not_known(cell):
    message = refusal(Table(t=[cell, "NA", "200"], e=[1, 0, 0]))
    assert f'row 0 (counted from 0) "{cell}", row 1 "NA"' in message and "Write numbers alone" in message
    assert 'cohort.targets.missing = ["NA"]' in message
    assert "missing" not in refusal(Table(t=[cell, "100", "200"], e=[1, 0, 0]))


def test_infinity_can_stand_for_not_known():
    assert read(Table(t=np.array([np.inf, 3000.0]), e=[0, 0]), missing=["inf"])[0] == [-1, 0]
