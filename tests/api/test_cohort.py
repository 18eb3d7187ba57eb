"""A cohort of DataFrames: matched by id, checked, told of, and given back."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcat_core as hcat
from hcat_core.errors import DataError, HcatError, RecipeError, UsageError


def ids(*names):
    return pd.Index(names, name="patient_id")


def test_patients_are_matched_by_id_whatever_the_order_of_rows():
    one = pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index=ids("a", "b", "c"))
    two = pd.DataFrame({"y": [30.0, 10.0]}, index=ids("c", "a"))
    frames = hcat.Cohort.from_frames({"one": one, "two": two}).to_frames()
    assert frames["two"]["y"].to_dict() == pytest.approx({"a": 10, "b": np.nan, "c": 30}, nan_ok=True)
    assert frames["one"]["x"].to_dict() == {"a": 1, "b": 2, "c": 3}


def test_ids_are_given_back_as_they_were_written():
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=ids("001", "002"))
    other = pd.DataFrame({"y": [5.0], "id": [2]})
    frames = hcat.Cohort.from_frames({"one": frame, "two": other}).to_frames()
    assert frames["two"].index.tolist() == ["001", "002"] and frames["two"]["y"].tolist()[1] == 5


def test_several_rows_of_a_patient_are_their_mean():
    frame = pd.DataFrame({"x": [1.0, 3.0, 7.0]}, index=ids("a", "a", "b"))
    assert hcat.Cohort.from_frames({"one": frame}).to_frames()["one"]["x"].tolist() == [2, 7]


CELL = st.one_of(st.none(), st.floats(-1e6, 1e6, width=32))


@settings(max_examples=40)
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=9), st.randoms())
def test_what_went_in_comes_out(rows, random):
    names = [f"P{place}" for place in range(len(rows))]
    random.shuffle(names)
    frame = pd.DataFrame(rows, columns=["x", "y"], index=ids(*names), dtype=float)
    if frame.isna().all(axis=None):
        with pytest.raises(DataError, match="no patient has a measured value"):
            hcat.Cohort.from_frames({"one": frame})
        return
    back = hcat.Cohort.from_frames({"one": frame}).to_frames()["one"]
    pd.testing.assert_frame_equal(back, frame.astype(np.float32), check_exact=True)
    again = hcat.Cohort.from_frames({"one": back}).to_frames()["one"]
    pd.testing.assert_frame_equal(again, back, check_exact=True)


def outcome(**columns):
    frame = pd.DataFrame(columns, index=ids("a", "b", "c", "d"))
    return {"outcomes": frame}


RNA = {"rna": pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]}, index=ids("a", "b", "c", "d"))}
MONTHS = {"months": [10.0, 61.0, 61.0, 10.0]}


@pytest.mark.parametrize(
    "given, labels",
    [
        (outcome(dead=[1, 1, 0, 0], **MONTHS) | {"event": "dead"}, [1, 0, 0, pd.NA]),
        (outcome(censorship=[0, 0, 1, 1], **MONTHS) | {"censored": "censorship"}, [1, 0, 0, pd.NA]),
        (outcome(dead=[True, True, False, False], **MONTHS) | {"event": "dead"}, [1, 0, 0, pd.NA]),
        (
            outcome(state=["Dead", "Dead", "Alive", "Alive"], **MONTHS)
            | {"event": "state", "event_values": {"event": ["Dead"], "none": ["Alive"]}},
            [1, 0, 0, pd.NA],
        ),
    ],
)
def test_times_in_months_and_either_direction_of_events_give_the_same_labels(given, labels):
    cohort = hcat.Cohort.from_frames(RNA, time="months", time_unit="months", horizons={"d": 1826}, **given)
    found = cohort.to_frames()["outcomes"]
    assert found["d"].tolist() == labels
    assert found["d_days"].tolist() == pytest.approx([304.375, 1856.6875, 1856.6875, 304.375])


def test_durations_have_their_unit():
    days = pd.to_timedelta([10, 2000, 2000, 10], "D")
    given = outcome(since=days, dead=[1, 1, 0, 0])
    cohort = hcat.Cohort.from_frames(RNA, time="since", event="dead", horizons={"d": 1826}, **given)
    assert cohort.to_frames()["outcomes"]["d_days"].tolist() == [10, 2000, 2000, 10]


def test_several_horizons_of_one_event_are_tasks():
    given = outcome(dead=[1, 1, 0, 0], **MONTHS)
    horizons = {"death_1y": 365, "death_5y": np.int64(1826), "late": 2000.0}
    cohort = hcat.Cohort.from_frames(
        RNA, time="months", event="dead", time_unit="months", horizons=horizons, **given
    )
    assert cohort.tasks == ("death_1y", "death_5y", "late")
    assert [task.output_name for task in cohort.data.layout.tasks] == [
        "p_death_1y",
        "p_death_5y",
        "p_late_2000d",
    ]


def test_a_horizon_that_is_no_number_of_days_is_a_sentence():
    given = outcome(dead=[1, 1, 0, 0], **MONTHS)
    with pytest.raises(HcatError, match="horizons: death is '2y'; a horizon is a number of days"):
        hcat.Cohort.from_frames(RNA, time="months", event="dead", horizons={"death": "2y"}, **given)


def test_several_outcomes_are_given_as_tables_of_tasks():
    given = outcome(dead=[1, 1, 0, 0], msi=[1, 0, -1, 1], **MONTHS)
    tasks = {
        "death": {"time": "months", "time_unit": "months", "event": "dead", "horizon_days": 1826},
        "msi": {"label": "msi"},
    }
    cohort = hcat.Cohort.from_frames(RNA, tasks=tasks, **given)
    assert cohort.to_frames()["outcomes"]["msi"].tolist() == [1, 0, pd.NA, 1]


TIMES = {"time": "months", "event": "dead"}


@pytest.mark.parametrize(
    "given, error, message",
    [
        (TIMES | {"horizons": {"d": 365}}, UsageError, "no outcomes are given"),
        (outcome(dead=[1, 1, 0, 0]), UsageError, "which columns of the outcomes"),
        (outcome(dead=[1, 1, 0, 0], **MONTHS) | TIMES, RecipeError, "horizon_days"),
        (
            outcome(dead=[1, 1, 0, 0], **MONTHS) | TIMES | {"horizons": {"d": 1}, "horizon_days": 2},
            UsageError,
            "not both",
        ),
        (
            outcome(dead=[1, 1, 0, 0], **MONTHS) | TIMES | {"tasks": {"d": {"label": "dead"}}},
            UsageError,
            "leave out time, event",
        ),
        (
            outcome(died=[1, 1, 0, 0], **MONTHS) | TIMES | {"horizons": {"d": 365}},
            DataError,
            'no column "dead".*"died"',
        ),
        (
            outcome(dead=[1, 2, 0, 0], **MONTHS) | TIMES | {"horizons": {"d": 365}},
            DataError,
            "dead",
        ),
        (
            outcome(censorship=[1, 1, 0, 0], **MONTHS)
            | {"time": "months", "event": "censorship", "horizons": {"d": 365}},
            RecipeError,
            "1 means censored",
        ),
        (
            outcome(dead=[1, 1, 0, 0], **MONTHS) | TIMES | {"horizons": {"d": 365}, "time_unit": "weeks"},
            RecipeError,
            '"days", "months", "years"',
        ),
        (outcome(dead=[1, 1, 0, 0]) | {"label": "dead", "groups": "site"}, DataError, "site"),
        ({"drop": ["y"]}, UsageError, "no frame has a column 'y'"),
        ({"drop": "x"}, UsageError, r"drop: a list is needed, \['x'\]"),
        ({"one_hot": {"dna": ["x"]}}, UsageError, "no modality is named 'dna'"),
    ],
)
def test_arguments_that_do_not_fit_are_sentences(given, error, message):
    with pytest.raises(error, match=message):
        hcat.Cohort.from_frames(RNA, **given)


def test_the_faults_of_all_frames_are_told_together():
    bare = pd.DataFrame({"x": [1.0]})
    with pytest.raises(DataError) as caught:
        hcat.Cohort.from_frames({"rna": bare, "dna": bare, "good": RNA["rna"]})
    assert "rna (DataFrame): no patient ids" in str(caught.value)
    assert "dna (DataFrame): no patient ids" in str(caught.value)


@pytest.mark.parametrize("name", ["a/b", "../x", ""])
def test_a_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(RecipeError, match="cannot be used"):
        hcat.Cohort.from_frames({name: RNA["rna"]})


def test_frames_that_share_no_patient_are_refused():
    other = pd.DataFrame({"y": [1.0, 2.0]}, index=ids("Q1", "Q2"))
    with pytest.raises(DataError, match="ids written the same way"):
        hcat.Cohort.from_frames({"one": RNA["rna"], "two": other})


def test_findings_are_warned_of_at_the_line_of_the_user_and_kept():
    frame = pd.DataFrame({"x": [1.0, 2, -999, -999, 3, 4]}, index=ids(*"abcdef"))
    with pytest.warns(hcat.FindingWarning, match="look like codes") as caught:
        cohort = hcat.Cohort.from_frames({"one": frame})
    assert caught[0].filename == __file__ and "-999" in cohort.findings[0]
    assert "-999" in cohort._repr_html_()
    clean = hcat.Cohort.from_frames({"one": frame}, missing=["-999"])
    assert clean.findings == () and clean.to_frames()["one"]["x"].isna().sum() == 2


def test_options_may_differ_by_modality():
    one = pd.DataFrame({"code": [1, 2], "x": [1.0, 2]}, index=ids("a", "b"))
    cohort = hcat.Cohort.from_frames(
        {"one": one, "two": one}, one_hot={"one": ["code"]}, drop={"two": ["x"]}
    )
    features = {m.name: m.features for m in cohort.data.layout.modalities}
    assert features == {"one": ("code=1", "code=2", "x"), "two": ("code",)}


def test_its_repr_counts_and_escapes(cohort):
    assert repr(cohort).startswith("Cohort of 90 patients: clinical 90 x 7, rna 60 x 4; death_2y:")
    frame = pd.DataFrame({"<b>": [-999.0, -999, 1, 2, 3]}, index=ids(*"abcde"))
    html = hcat.Cohort.from_frames({"one": frame})._repr_html_()
    assert "<b>" not in html and "&lt;b&gt;" in html


def test_a_modality_called_outcomes_is_refused_where_frames_are_given_back():
    with pytest.raises(UsageError, match="rename it"):
        hcat.Cohort.from_frames({"outcomes": RNA["rna"]}).to_frames()


def test_a_cohort_of_files_is_that_of_its_frames(cohort, frames, tmp_path):
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"{name}.csv")
    (tmp_path / "r.toml").write_text(
        """
[cohort.modalities]
clinical = { path = "clinical.csv", one_hot = ["sex", "stage"] }
rna = { path = "rna.csv" }
[cohort.targets]
path = "seen.csv"
time_unit = "months"
tasks.death_2y = { time = "months", event = "dead", horizon_days = 730 }
[estimator]
use = "logistic"
"""
    )
    files = hcat.Cohort.from_files(tmp_path / "r.toml")
    assert files.data.fingerprint() == cohort.data.fingerprint()
    assert isinstance(files, hcat.Cohort) and files.root == tmp_path
    fewer = hcat.Cohort.from_files(tmp_path / "r.toml", {"cohort.modalities.rna": False})
    assert fewer.modalities == ("clinical",)
    with pytest.raises(HcatError, match="there is no recipe"):
        hcat.Cohort.from_files("nothing.toml")


def test_groups_stay_on_one_side_of_the_split(frames, cohort_of):
    cohort = cohort_of(frames, groups="site")
    assert set(cohort.data.groups) == set("abcd")
