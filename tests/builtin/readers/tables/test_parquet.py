"""Parquet: columns are columns, whatever pandas calls them, and types mean what they say."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.data.outcomes import read_targets
from hcat_core.data.schema import TargetsTable
from hcat_core.errors import DataError

pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")

IDS = ["p", "q", "r"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.parquet"


def write(path, **columns):
    pyarrow.parquet.write_table(pyarrow.table({"pid": IDS, **columns}), path)


def read(path, **arguments):
    reader = TableReader(path=path, **arguments)
    found = aggregate_spatial(reader.read(), reader.source)
    return list(found.ids), found.features, np.where(found.measured, found.mean, np.nan), found.findings


def refusal(path, **arguments):
    with pytest.raises(DataError) as error:
        read(path, **arguments)
    assert str(error.value).startswith(str(path))
    return str(error.value)


FRAME = pd.DataFrame({"patient_id": IDS, "age": [61, 62, 63], "psa": [1.5, None, 2.5]})


@pytest.mark.parametrize(
    ("frame", "features"),
    [
        (FRAME, ("age", "psa")),
        (FRAME.set_index("patient_id"), ("age", "psa")),
        (FRAME.set_index(["patient_id", "age"]), ("psa", "age")),
        (FRAME.set_index(["age", "patient_id"]), ("psa", "age")),
        (FRAME.set_index(pd.RangeIndex(5, 8)), ("age", "psa")),
        (FRAME.set_index(pd.RangeIndex(3, name="row")), ("age", "psa")),
        (FRAME.rename(columns={"age": " age "}), ("age", "psa")),
        (
            FRAME.set_index(pd.CategoricalIndex(IDS, name="patient_id")).drop(columns="patient_id"),
            ("age", "psa"),
        ),
    ],
)
def test_the_index_of_a_frame_is_a_column_of_the_file(path, frame, features):
    frame.to_parquet(path)
    ids, found, values, _ = read(path)
    assert ids == IDS
    assert found == features
    np.testing.assert_array_equal(values[:, found.index("age")], [61, 62, 63])
    np.testing.assert_array_equal(values[:, found.index("psa")], [1.5, np.nan, 2.5])


def test_an_index_without_a_name_is_no_feature_and_may_hold_the_ids(path):
    FRAME.set_index(pd.Index([7, 3, 5])).to_parquet(path)
    assert 'drop = ["__index_level_0__"]' in refusal(path)
    assert read(path, drop=["__index_level_0__"])[1] == ("age", "psa")
    FRAME[["age"]].set_index(pd.Index(IDS)).to_parquet(path)
    assert "__index_level_0__" in refusal(path)
    assert read(path, patient_id="__index_level_0__")[0] == IDS


NAN = np.nan


@pytest.mark.parametrize(
    ("cells", "type_", "numbers"),
    [
        ([1, None, 3], pyarrow.int8(), [1, NAN, 3]),
        ([1, 2, 3], pyarrow.uint64(), [1, 2, 3]),
        ([1, None, 3], pyarrow.uint16(), [1, NAN, 3]),
        ([1.5, None, NAN], pyarrow.float64(), [1.5, NAN, NAN]),
        ([1.5, None, 2.0], pyarrow.float32(), [1.5, NAN, 2]),
        (np.array([1.5, NAN, 2], np.float16), pyarrow.float16(), [1.5, NAN, 2]),
        ([True, None, False], pyarrow.bool_(), [1, NAN, 0]),
        ([decimal.Decimal("1.50"), None, decimal.Decimal("-2")], pyarrow.decimal128(5, 2), [1.5, NAN, -2]),
        (["1", None, " -2.5 "], pyarrow.string(), [1, NAN, -2.5]),
        (["1", "", "007"], pyarrow.large_string(), [1, NAN, 7]),
        (["True", None, "False"], pyarrow.string(), [1, NAN, 0]),
        ([1.5, None, 2.5], pyarrow.dictionary(pyarrow.int8(), pyarrow.float64()), [1.5, NAN, 2.5]),
        ([3, None, 2], pyarrow.dictionary(pyarrow.int32(), pyarrow.int64()), [3, NAN, 2]),
        (["1", None, "2"], pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), [1, NAN, 2]),
        ([None, None, None], pyarrow.null(), [NAN] * 3),
    ],
)
def test_numbers_of_all_types_are_their_values(path, cells, type_, numbers):
    write(path, a=pyarrow.array(cells, type=type_), z=[1, 2, 3])
    np.testing.assert_array_equal(read(path)[2][:, 0], numbers)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_duration_is_a_feature_in_days_and_told_and_keeps_its_unit_as_an_outcome(path, unit):
    days = [datetime.timedelta(days=1, hours=12), None, datetime.timedelta(days=-2)]
    write(path, fu=pyarrow.array(days, type=pyarrow.duration(unit)))
    _, _, values, findings = read(path)
    np.testing.assert_array_equal(values, [[1.5], [NAN], [-2]])
    assert findings == ("t.parquet: column fu holds durations: read in days.",)
    table = TableReader(path=path).read_columns(["fu"])
    cells = table.columns["fu"]
    assert cells.dtype.kind == "m" and np.isnat(cells[1])
    np.testing.assert_array_equal(cells[[0, 2]] / np.timedelta64(1, "D"), [1.5, -2])


@pytest.mark.parametrize("unit", ["s", "ns"])
def test_durations_of_outcomes_are_days_whatever_their_type_and_take_no_unit(path, unit):
    days = [datetime.timedelta(days=400), None, datetime.timedelta(days=2000)]
    write(path, fu=pyarrow.array(days, type=pyarrow.duration(unit)), dead=[1, 0, 0])
    task = {"time": "fu", "event": "dead", "horizon_days": 1826}
    _, outcomes = read_targets(TableReader(path=path), TargetsTable(path="x", tasks={"death": task}))
    np.testing.assert_array_equal(outcomes.targets.time[:, 0], [400, NAN, 2000])
    assert outcomes.targets.labels[:, 0].tolist() == [1, -1, 0]
    months = TargetsTable(path="x", tasks={"death": {**task, "time_unit": "months"}})
    with pytest.raises(DataError, match="fu holds durations, which need no unit"):
        read_targets(TableReader(path=path), months)


DATES = [
    pd.Series(pd.to_datetime(["2020-01-01", None, "2021-05-04"])),
    pd.Series(pd.to_datetime(["2020-01-01", None, "2021-05-04"])).dt.tz_localize("Europe/Berlin"),
    pd.Series([datetime.date(2020, 1, 1), None, datetime.date(2021, 5, 4)]),
    pd.Series([datetime.time(10), None, datetime.time(11)]),
    pd.Series(pd.to_datetime(["2020-01-01", None, "2021-05-04"])).astype("category"),
]


@pytest.mark.parametrize("dates", DATES)
def test_dates_are_refused_by_name_and_gaps_are_gaps(path, dates):
    """A missing date was -9.2e18, and others nanoseconds since 1970."""
    pd.DataFrame({"pid": IDS, "dx": dates, "last": dates, "a": [1, 2, 3]}).to_parquet(path)
    assert "columns dx, last hold dates, which are no numbers. Compute an age" in refusal(path)
    assert 'drop = ["dx", "last"]' in refusal(path)
    assert read(path, drop=["dx", "last"])[1] == ("a",)
    cells = TableReader(path=path).read_columns(["dx"]).columns["dx"]
    assert cells.dtype == object
    assert cells[1] is None


def test_dates_of_outcomes_are_text_in_iso_form(path):
    pd.DataFrame({"pid": IDS, "dx": DATES[0], "day": DATES[2]}).to_parquet(path)
    columns = TableReader(path=path).read_columns(["dx", "day"]).columns
    assert columns["dx"][0].startswith("2020-01-01")
    assert columns["day"].tolist() == ["2020-01-01", None, "2021-05-04"]


def test_lists_and_records_are_refused_by_name_unless_left_out(path):
    write(path, l=[[1, 2], [], None], s=[{"a": 1}] * 3, a=[1, 2, 3])
    assert "columns l, s hold neither numbers nor text: l (list<" in refusal(path)
    assert read(path, drop=["l", "s"])[1] == ("a",)
    with pytest.raises(DataError, match="column l holds neither"):
        TableReader(path=path).read_columns(["l"])
    assert "column s holds neither" in refusal(path, one_hot=["s"], drop=["l"])


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("values", [["f", None, "m "], [1, None, 2], [True, None, False]])
def test_categories_of_pandas_are_their_values(path, values, ordered):
    column = pd.Categorical(values, ordered=ordered)
    pd.DataFrame({"pid": IDS, "c": column}).to_parquet(path)
    _, features, found, _ = read(path, one_hot=["c"])
    assert features == tuple(
        f"c={str(value).strip()}" for value in sorted(v for v in values if v is not None)
    )
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), [False, True, False])


@pytest.mark.parametrize("limit", [("float32", 2**24), ("float64", 2**53)])
def test_ids_that_a_float_cannot_tell_apart_are_refused(path, limit):
    """Two patients of neighbouring numbers became one, and their values were averaged."""
    type_, first = limit
    numbers = np.array([first - 2, first - 1, first], np.dtype(type_))
    pd.DataFrame({"patient_id": numbers, "a": [1, 2, 3]}).to_parquet(path)
    assert (
        f"column patient_id: patient ids are stored as {'float' if type_ == 'float32' else 'double'}"
        in (refusal(path))
    )
    pd.DataFrame({"patient_id": numbers[:2], "a": [1, 2]}).to_parquet(path)
    assert read(path)[0] == [str(first - 2), str(first - 1)]


@pytest.mark.parametrize(
    ("ids", "type_", "expected"),
    [
        ([1, 2, 2**64 - 1], pyarrow.uint64(), ["1", "2", str(2**64 - 1)]),
        ([1, 2, 2**53 + 1], pyarrow.int64(), ["1", "2", str(2**53 + 1)]),
        ([1.0, 2.0, 3.0], pyarrow.float64(), ["1", "2", "3"]),
        (["007", "b", "NA"], pyarrow.large_string(), ["7", "b", "NA"]),
        ([b"p", b"q", b"r"], pyarrow.binary(), IDS),
        (
            [decimal.Decimal(1), decimal.Decimal(2), decimal.Decimal(3)],
            pyarrow.decimal128(9, 0),
            ["1", "2", "3"],
        ),
        (IDS, pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), IDS),
    ],
)
def test_ids_of_all_types_are_the_patients_numbers(path, ids, type_, expected):
    table = pyarrow.table({"pid": pyarrow.array(ids, type=type_), "a": [1, 2, 3]})
    pyarrow.parquet.write_table(table, path)
    assert read(path)[0] == expected


def test_a_row_without_patient_is_refused(path):
    pyarrow.parquet.write_table(pyarrow.table({"pid": ["p", None], "a": [1, 2]}), path)
    assert "row 1 (counted from 0) has no patient id" in refusal(path)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_a_number_that_a_cohort_cannot_hold_is_refused(path, value):
    write(path, a=[1.0, value, 2.0])
    assert "column a, row 1" in refusal(path)


def test_a_damaged_file_is_an_error_with_its_name_or_has_its_values(path):
    """27 of 60 ended as an internal error."""
    table = pyarrow.table({"pid": [f"p{n}" for n in range(99)], "a": np.arange(99.0), "c": ["x"] * 99})
    pyarrow.parquet.write_table(table, path)
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    refused = 0
    for _ in range(120):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        for use in (lambda r: list(r.read()), lambda r: r.read_columns(["a", "c"]), lambda r: r.describe()):
            try:
                use(TableReader(path=path, one_hot=["c"]))
            except DataError as error:
                refused += 1
                assert str(path) in str(error)
    assert refused > 30
    for cut in (0, 3, 4, 100, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert "Parquet" in refusal(path)


@pytest.mark.parametrize(
    ("cells", "type_", "expected"),
    [
        ([1, 2, 2**60 + 1], pyarrow.int64(), [1, 2, 2**60 + 1]),
        ([1, None, 2], pyarrow.int64(), [1, NAN, 2]),
        ([1, None, 2**60 + 1], pyarrow.int64(), ["1", None, str(2**60 + 1)]),
        (["1", "", "2.5"], pyarrow.string(), [1, NAN, 2.5]),
        (["x ", " ", "NA"], pyarrow.string(), ["x ", None, "NA"]),
        ([True, None, False], pyarrow.bool_(), [1, NAN, 0]),
        (["a", None, "b"], pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), ["a", None, "b"]),
    ],
)
def test_columns_of_outcomes_are_numbers_or_text_as_it_stands(path, cells, type_, expected):
    write(path, y=pyarrow.array(cells, type=type_))
    found = TableReader(path=path).read_columns(["y"]).columns["y"]
    if any(isinstance(cell, str) for cell in expected):
        assert found.tolist() == expected
    else:
        np.testing.assert_array_equal(found, expected)


def test_periods_and_intervals_of_pandas_are_refused_by_name(path):
    """Their storage is whole numbers, months since 1970."""
    month = pd.PeriodIndex(["2020-01", "2020-02", "2020-03"], freq="M")
    band = pd.IntervalIndex.from_breaks([0, 50, 60, 70])
    pd.DataFrame({"pid": IDS, "month": month, "band": band, "a": [1, 2, 3]}).to_parquet(path)
    assert "columns month, band hold neither numbers nor text: month (pandas.period)" in refusal(path)
    with pytest.raises(DataError, match="column month holds neither"):
        TableReader(path=path).read_columns(["month"])


def test_numbers_that_stand_for_something_else_are_refused_by_the_name_of_their_type(path):
    stands_for = {b"ARROW:extension:name": b"acme.code", b"ARROW:extension:metadata": b""}
    fields = [
        pyarrow.field("pid", pyarrow.string()),
        pyarrow.field("code", pyarrow.int64(), metadata=stands_for),
        pyarrow.field("a", pyarrow.int64()),
    ]
    table = pyarrow.table([IDS, [1, 2, 3], [4, 5, 6]], schema=pyarrow.schema(fields))
    pyarrow.parquet.write_table(table, path)
    assert "column code holds neither numbers nor text: code (acme.code)" in refusal(path)
    assert read(path, drop=["code"])[1] == ("a",)


@pytest.mark.parametrize("type_", ["float32", "float64"])
@pytest.mark.parametrize("code", [-9.9, 99.99, -999.0, 0.1])
def test_a_code_for_missing_is_found_in_floats_of_any_width(path, type_, code):
    """In 32 bits -9.9 is -9.8999996, which was no missing value, and became the patient's."""
    write(path, x=pyarrow.array(np.array([code, 1.5, 2.5], type_)))
    _, _, values, _ = read(path, missing=[str(code)])
    np.testing.assert_array_equal(values, [[np.nan], [1.5], [2.5]])
    columns = TableReader(path=path, missing=[str(code)]).read_columns(["x"]).columns
    np.testing.assert_array_equal(columns["x"], [np.nan, 1.5, 2.5])


def test_the_decimal_mark_of_the_recipe_holds_for_numbers_in_text(path):
    write(path, x=["1,5", "2", None])
    assert 'decimal = ","' in refusal(path)
    _, _, values, _ = read(path, decimal=",")
    np.testing.assert_array_equal(values, [[1.5], [2], [np.nan]])
    columns = TableReader(path=path, decimal=",").read_columns(["x"]).columns
    np.testing.assert_array_equal(columns["x"], [1.5, 2, np.nan])
