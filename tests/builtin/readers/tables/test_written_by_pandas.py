"""Whatever pandas writes is read as the same values, or refused by an error that names the column."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.errors import DataError

FEW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
TRUTHS = {"True": 1, "TRUE": 1, "true": 1, "False": 0, "FALSE": 0, "false": 0}
MARKERS = ["", "NA", "nan", "None", ".", "-", "-999", "null"]

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=6)
texts = st.one_of(
    words, st.sampled_from(['a"b', "a,b", "a;b", "x\ny", "True", "1_0", "0x1", "١", *MARKERS])
)
floats = st.floats(-1e30, 1e30, allow_nan=False)
cells = {
    "int": st.integers(-(2**53), 2**53),
    "float": floats,
    "truth": st.booleans(),
    "digits": st.from_regex(r"\A[0-9]{1,9}\Z", fullmatch=True).filter(str.isascii),
    "text": texts,
}


@st.composite
def columns(draw, kinds=tuple(cells)):
    """A column of one kind with gaps: its values, None for a gap."""
    kind = draw(st.sampled_from(kinds))
    rows = draw(st.integers(1, 6))
    return kind, draw(st.lists(st.one_of(st.none(), cells[kind]), min_size=rows, max_size=rows))


def series(kind, values):
    dtype = {"int": "Int64", "float": "float64", "truth": "boolean"}.get(kind, "object")
    return pd.Series(values, dtype=dtype)


def expected_numbers(values, marker=None):
    """The numbers that cells stand for, or None where one is a word."""
    found = []
    for value in values:
        text = "" if value is None else str(value).strip()
        if value is None or text == "" or (marker is not None and text == marker.strip()):
            found.append(np.nan)
        elif isinstance(value, str):
            if not NUMBER.fullmatch(text) or not abs(float(text)) <= 3.4e38:
                return None
            found.append(float(text))
        else:
            found.append(float(value))
    return found


def check(path, values, marker=None):
    """The column ``y`` of a file has the values, or its first word is refused by name and place."""
    arguments = {} if marker in (None, "") else {"missing": [marker]}
    reader = TableReader(path=path, drop=["more"], **arguments)
    numbers = expected_numbers(values, marker or None)
    texts = ["" if value is None else str(value).strip() for value in values]
    texts = ["" if marker and text == marker else text for text in texts]
    if numbers is None and {text for text in texts if text} <= {*TRUTHS}:
        numbers = [np.nan if not text else TRUTHS[text] for text in texts]
    if numbers is not None:
        read = np.concatenate([table.values[:, 0] for table in reader.read() if len(table.ids)])
        np.testing.assert_array_equal(read, np.array(numbers, np.float64).astype(np.float32))
    else:
        with pytest.raises(DataError, match="column y, (line|row) [0-9]+"):
            list(reader.read())


@FEW
@given(columns(), st.sampled_from(MARKERS), st.sampled_from([",", ";", "\t"]), st.booleans())
def test_a_column_of_csv_is_its_values_or_an_error(tmp_path, column, marker, separator, quoted):
    kind, values = column
    frame = pd.DataFrame(
        {"pid": [f"p{n}" for n in range(len(values))], "y": series(kind, values), "more": "x"}
    )
    path = tmp_path / "t.tsv"
    frame.to_csv(path, sep=separator, na_rep=marker, index=False, quoting=1 if quoted else 0)
    written = [marker if value is None else value for value in values]
    check(path, written, marker)


@FEW
@given(columns(), st.sampled_from(["column", "index", "two indices", "category", "large"]))
def test_a_column_of_parquet_is_its_values_or_an_error(tmp_path, column, shape):
    pytest.importorskip("pyarrow")
    kind, values = column
    frame = pd.DataFrame({"pid": [f"p{n}" for n in range(len(values))], "y": series(kind, values)})
    frame["more"] = "x"
    if shape == "category" and kind not in ("truth",):
        frame["y"] = frame["y"].astype("category")
    if shape == "large":
        frame["y"] = frame["y"].astype("string") if kind in ("text", "digits") else frame["y"]
    if shape == "index":
        frame = frame.set_index("pid")
    if shape == "two indices":
        frame = frame.set_index(["pid", "more"])
    frame.to_parquet(tmp_path / "t.parquet")
    check(tmp_path / "t.parquet", values)


@FEW
@given(st.lists(texts, min_size=1, max_size=8), st.sampled_from(["csv", "parquet"]))
def test_categories_are_the_texts_without_surrounding_blanks(tmp_path, values, kind):
    frame = pd.DataFrame({"pid": [f"p{n}" for n in range(len(values))], "c": values, "a": 1})
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    table = next(iter(TableReader(path=path, one_hot=["c"]).read()))
    features = [name.removeprefix("c=") for name in table.features[:-1]]
    stripped = [value.strip() for value in values]
    if all(NUMBER.fullmatch(value) for value in stripped if value):
        return  # numbers are categories by their value: test_reader.py
    assert set(features) == {value for value in stripped if value}
    for row, value in zip(table.values[:, :-1], stripped, strict=True):
        expected = [float(value == name) for name in features] if value else [np.nan] * len(features)
        np.testing.assert_array_equal(row, expected)


@FEW
@given(
    st.lists(
        st.lists(texts.filter(lambda t: "\n" not in t), min_size=3, max_size=3), min_size=1, max_size=6
    ),
    st.data(),
)
def test_a_line_that_lost_or_won_a_value_is_refused_by_its_number(tmp_path, rows, data):
    path = tmp_path / "t.csv"
    pd.DataFrame(rows, columns=["b", "c", "d"]).assign(pid="p").to_csv(path, index=False, quoting=1)
    lines = path.read_text(encoding="utf-8").split("\n")
    line = data.draw(st.integers(1, len(rows)))
    lines[line] = data.draw(st.sampled_from(['"p"', '"p","q"', lines[line] + ',"x"', lines[line] + ","]))
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError, match=rf"line {line + 1} has [0-9] values? for 4 columns"):
        list(TableReader(path=path).read())


@FEW
@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_an_error_with_the_name_of_the_file(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(b"pid,a\np,1\n" + content)
    try:
        list(TableReader(path=path).read())
    except DataError as error:
        assert str(path) in str(error)
