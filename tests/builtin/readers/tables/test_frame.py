"""A DataFrame is read as the same table in a file is: types, categories, ids, and what is refused."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcat_builtin.readers.tables.frame_reader import FrameReader
from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError, RecipeError
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog

IDS = ["a", "b", "c"]


def reader(frame, **given):
    return FrameReader.of(frame, "x (DataFrame)", FrameReader.keys(frame, "x (DataFrame)", given))


def read(frame, **given):
    """By id: values by feature, NaN where not measured; and the findings."""
    made = reader(frame, **given)
    found = aggregate_spatial(made.read(), made.source)
    values = np.where(found.measured, found.mean, np.nan)
    table = pd.DataFrame(values, index=found.ids, columns=found.features)
    return table, found.findings


def column(values, **given):
    """One column beside ids."""
    frame = pd.DataFrame({"patient_id": IDS, "x": values})
    return read(frame, **given)[0].to_dict("list")


NAN = pytest.approx(np.nan, nan_ok=True)


@pytest.mark.parametrize(
    "values, expected",
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1.5, np.nan, 3], [1.5, NAN, 3]),
        (pd.array([1, None, 3], "Int64"), [1, NAN, 3]),
        (pd.array([0.5, None, 3], "Float32"), [0.5, NAN, 3]),
        (np.array([1, 2, 3], np.uint8), [1, 2, 3]),
        (np.array([1, 2, 3], np.float16), [1, 2, 3]),
        ([True, False, True], [1, 0, 1]),
        (pd.array([True, None, False], "boolean"), [1, NAN, 0]),
        (pd.Series([1, None, 2.5], dtype=object), [1, NAN, 2.5]),
        (pd.Series([True, None, False], dtype=object), [1, NAN, 0]),
        (pd.Series([None, None, None], dtype=object), [NAN, NAN, NAN]),
        (["1", " 2.5 ", None], [1, 2.5, NAN]),
        (pd.array(["1", pd.NA, "3"], "string"), [1, NAN, 3]),
        (pd.arrays.SparseArray([0.0, 0.0, 3.0]), [0, 0, 3]),
        (pd.to_timedelta([1, 36, None], "h"), [1 / 24, 1.5, NAN]),
    ],
)
def test_a_column_of_numbers_is_a_feature(values, expected):
    assert column(values) == {
        "x": [pytest.approx(one, rel=1e-6) if one is not NAN else NAN for one in expected]
    }


@pytest.mark.parametrize(
    "values",
    [
        ["f", "m", None],
        pd.array(["f", "m", pd.NA], "string"),
        pd.Categorical(["f", "m", None]),
        pd.Categorical(["f", "m", None], categories=["x", "m", "f"]),
        pd.Series(["f", " m", ""], dtype=object),
    ],
)
def test_a_column_of_text_has_a_feature_for_each_category(values):
    assert column(values) == {"x=f": [1, 0, NAN], "x=m": [0, 1, NAN]}


def test_a_category_of_numbers_is_a_category_and_a_number_of_text_is_told():
    assert column(pd.Categorical([1, 2, 1])) == {"x=1": [1, 0, 1], "x=2": [0, 1, 0]}
    _, findings = read(pd.DataFrame({"patient_id": IDS, "grade": ["1", "2", "3"]}))
    assert findings == (
        "x (DataFrame): column grade holds text: read as numbers. If these are categories: one_hot = "
        '["grade"].',
    )
    assert column(["1", "2", "1"], one_hot=["x"]) == {"x=1": [1, 0, 1], "x=2": [0, 1, 0]}


def test_words_that_mean_not_measured_are_named():
    assert column([1, "NA", 3], missing=["NA"]) == {"x": [1, NAN, 3]}
    assert column([1, -9, 3], missing=["-9"]) == {"x": [1, NAN, 3]}
    assert column(["f", "NA", "f"], missing=["NA"]) == {"x=f": [1, NAN, 1]}


@pytest.mark.parametrize(
    "values, message",
    [
        ([1.5, "high", 2], 'column x, row 1 .counted from 0.: "high" is not a number'),
        (["1", "2a", "3"], 'column x, row 1 .counted from 0.: "2a" is not a number'),
        ([1.0, np.inf, 2], 'column x, row 1 .counted from 0.: "inf" is not a number'),
        ([True, 2, "x"], "is not a number"),
        (pd.to_datetime(["2020-01-01", None, "2021-05-05"]), "column x holds dates"),
        (pd.to_datetime(["2020-01-01", None, "2021-05-05"], utc=True), "column x holds dates"),
        ([datetime.date(2020, 1, 1), None, None], "column x holds dates"),
        (pd.Categorical(pd.to_datetime(["2020-01-01", "2020-01-02", None])), "column x holds dates"),
        (pd.period_range("2020", periods=3, freq="Y"), "column x holds dates"),
        ([[1], [2], [3]], "column x holds neither numbers nor text"),
        ([{"a": 1}, None, None], "column x holds neither numbers nor text"),
        ([1j, 2j, 3j], "column x holds neither numbers nor text"),
    ],
)
def test_what_is_no_number_and_no_category_is_refused_by_name(values, message):
    with pytest.raises(DataError, match=message):
        column(values)


def test_several_faults_of_one_kind_are_told_at_once():
    dates = pd.to_datetime(["2020-01-01"] * 3)
    with pytest.raises(DataError, match=r'columns born, seen hold dates.*drop = \["born", "seen"\]'):
        read(pd.DataFrame({"patient_id": IDS, "born": dates, "seen": dates, "x": [1, 2, 3]}))


def test_a_column_of_names_is_no_column_of_categories():
    frame = pd.DataFrame({"patient_id": range(30), "barcode": [f"S-{n}" for n in range(30)], "x": 1.0})
    with pytest.raises(DataError, match=r"look like names or notes.*barcode \(30 texts in 30 rows\)"):
        read(frame)
    assert list(read(frame, drop=["barcode"])[0]) == ["x"]
    assert len(read(frame, one_hot=["barcode"])[0].columns) == 31


@pytest.mark.parametrize(
    "frame, ids",
    [
        (pd.DataFrame({"x": [1, 2, 3]}, index=pd.Index(IDS, name="patient_id")), IDS),
        (pd.DataFrame({"x": [1, 2, 3]}, index=pd.Index(IDS, name="my case")), IDS),
        (pd.DataFrame({"x": [1, 2, 3]}, index=IDS), IDS),
        (pd.DataFrame({"x": [1, 2, 3]}, index=pd.Index([7, 8, 9], name="id")), ["7", "8", "9"]),
        (pd.DataFrame({"x": [1, 2, 3], "pid": IDS}), IDS),
        (pd.DataFrame({"x": [1, 2, 3], "pid": IDS}, index=[5, 2, 0]), IDS),
        (pd.DataFrame({"x": [1, 2, 3], "case_id": pd.Categorical(IDS)}), IDS),
        (pd.DataFrame({"x": [1, 2, 3], "pid": pd.array([1, 2, 3], "Int64")}), ["1", "2", "3"]),
        (pd.DataFrame({"x": [1, 2, 3], "pid": IDS}, index=IDS), IDS),
    ],
)
def test_ids_are_the_index_that_has_them_or_the_column_of_a_usual_name(frame, ids):
    table, _ = read(frame)
    assert list(table.index) == ids and list(table.columns)[0] == "x"


@pytest.mark.parametrize(
    "frame, message",
    [
        (pd.DataFrame({"x": [1, 2, 3]}), "its index only numbers the rows"),
        (
            pd.DataFrame({"x": [1, 2, 3]}, index=[5, 2, 0]),
            "index has no name, and may only number the rows",
        ),
        (pd.DataFrame({"x": [1, 2, 3], "id": [9, 8, 7]}, index=IDS), "both the index and the column id"),
        (
            pd.DataFrame({"x": [1, 2, 3], "pid": ["a", None, "c"]}),
            "row 1 .counted from 0. has no patient id",
        ),
        (pd.DataFrame({"x": [1, 2, 3], "pid": [1.0, 2.0, 2.0**60]}), "row 2"),
        (pd.DataFrame({"pid": IDS}), "no column beside its ids"),
        (pd.DataFrame([[1, 2]] * 3, columns=["x", "x"], index=IDS), 'called "x"'),
        (pd.DataFrame([[1]] * 3, columns=pd.MultiIndex.from_tuples([("a", "b")]), index=IDS), "2 levels"),
        (pd.DataFrame({"x": [1]}, index=pd.MultiIndex.from_tuples([("a", 1)])), "reset_index"),
    ],
)
def test_ids_and_names_that_are_not_certain_are_refused(frame, message):
    with pytest.raises(DataError, match=message):
        read(frame)


def test_a_named_column_of_ids_is_used_and_kept_for_later_files():
    frame = pd.DataFrame({"x": [1, 2, 3], "Sample": IDS})
    assert FrameReader.keys(frame, "x", {"patient_id": "Sample"}) == {"patient_id": "Sample"}
    assert list(read(frame, patient_id="Sample")[0].index) == IDS
    assert FrameReader.keys(frame.set_index("Sample"), "x", {}) == {"patient_id": "Sample"}
    with pytest.raises(DataError, match='neither its index nor a column is called "Case"'):
        read(frame, patient_id="Case")


def test_a_row_of_later_patients_makes_the_features_of_training():
    frame = pd.DataFrame({"pid": IDS, "sex": ["f", "m", "f"], "age": [1, 2, 3]})
    keys = FrameReader.keys(frame, "x", {})
    trained = tuple(read(frame)[0].columns)
    one = FrameReader.of(pd.DataFrame({"pid": ["z"], "sex": ["m"], "age": [5]}), "x", keys)
    (table,) = one.with_features(trained).read()
    assert dict(zip(table.features, table.values[0].tolist(), strict=True)) == {
        "sex=f": 0,
        "sex=m": 1,
        "age": 5,
    }


def test_outcome_columns_are_as_those_of_a_file():
    frame = pd.DataFrame(
        {
            "pid": IDS,
            "whole": [1, 2, 3],
            "gap": pd.array([1, None, 3], "Int64"),
            "dead": [True, False, True],
            "text": ["Alive", None, "Dead"],
            "since": pd.to_timedelta([1, 2, None], "D"),
        }
    )
    columns = reader(frame).read_columns(["whole", "gap", "dead", "text", "since"]).columns
    assert columns["whole"].dtype.kind in "iu" and columns["whole"].tolist() == [1, 2, 3]
    assert columns["gap"].tolist() == [1, NAN, 3] and columns["dead"].tolist() == [1, 0, 1]
    assert columns["text"].tolist() == ["Alive", None, "Dead"]
    assert columns["since"].dtype.kind == "m"


def test_large_whole_numbers_are_not_rounded_in_outcome_columns():
    frame = pd.DataFrame({"pid": IDS, "code": pd.array([2**60 + 1, None, 2**60], "Int64")})
    assert reader(frame).read_columns(["code"]).columns["code"].tolist() == [
        str(2**60 + 1),
        None,
        str(2**60),
    ]


CELLS = st.one_of(st.none(), st.floats(-1e6, 1e6, width=32), st.integers(-(2**20), 2**20))
TEXTS = st.one_of(st.none(), st.sampled_from(["I", "II", "III b", "x,y", 'q"r']))


@settings(max_examples=60)
@given(st.lists(st.tuples(CELLS, st.booleans(), TEXTS), min_size=2, max_size=12))
def test_any_frame_is_read_as_its_csv_file_is(tmp_path_factory, rows):
    number, truth, text = zip(*rows, strict=True)
    frame = pd.DataFrame({"number": number, "truth": truth, "text": pd.Series(text, dtype=object)})
    frame.insert(0, "patient_id", [f"P{place % 8}" for place in range(len(frame))])
    made = reader(frame, one_hot=["text"])
    path = tmp_path_factory.mktemp("frame") / "x.csv"
    frame.to_csv(path, index=False)
    file = TableReader(path=path, one_hot=["text"])
    ours, theirs = (aggregate_spatial(one.read(), one.source) for one in (made, file))
    assert ours.ids == theirs.ids and ours.features == theirs.features
    np.testing.assert_array_equal(ours.measured, theirs.measured)
    np.testing.assert_array_equal(ours.mean, theirs.mean)


def test_a_recipe_that_uses_it_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "r.toml").write_text(
        '[cohort.modalities]\nrna = { use = "frame", path = "rna.csv" }\n[estimator]\nuse = "logistic"\n'
    )
    with pytest.raises(RecipeError, match=r'Cohort.from_frames.*use = "table"'):
        load_recipe(tmp_path / "r.toml", load_catalog())
