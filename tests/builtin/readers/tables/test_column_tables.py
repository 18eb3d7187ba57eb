"""Columns of outcomes and groups: numbers where every cell is one, else text as it stands."""

import numpy as np
import pytest

from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.errors import DataError

NAN = np.nan


def column(path, cells, **arguments):
    path.write_text("pid,y\n" + "".join(f'p{n},"{cell}"\n' for n, cell in enumerate(cells)))
    return TableReader(path=path, **arguments).read_columns(["y"]).columns["y"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "0", ""], [1, 0, NAN]),
        (["1.5", " 2 ", "-3e2"], [1.5, 2, -300]),
        (["True", "", "False"], [1, NAN, 0]),
        (["NA", "", "1"], ["NA", None, "1"]),
        (["nan", "1", "2"], ["nan", "1", "2"]),
        (["inf", "1", "2"], ["inf", "1", "2"]),
        (["1_000", "1", "2"], ["1_000", "1", "2"]),
        (["Dead", " Alive ", "  "], ["Dead", " Alive ", None]),
        (["True", "1", "0"], ["True", "1", "0"]),
        (["2020-01-01", "", "2021-01-01"], ["2020-01-01", None, "2021-01-01"]),
        (["", " ", ""], [NAN, NAN, NAN]),
        (["9007199254740993", "9007199254740992", "1"], [9007199254740993, 9007199254740992, 1]),
        (["9007199254740993", "9007199254740992", ""], ["9007199254740993", "9007199254740992", None]),
        (["12345678901234567890", "1", "2"], ["12345678901234567890", "1", "2"]),
    ],
)
def test_a_column_is_numbers_or_text(tmp_path, cells, expected):
    found = column(tmp_path / "t.csv", cells)
    if any(isinstance(cell, str) for cell in expected):
        assert found.tolist() == expected
    else:
        np.testing.assert_array_equal(found, expected)
        assert found.dtype.kind in "if"


def test_words_that_mean_not_measured_are_empty_in_columns_too(tmp_path):
    found = column(tmp_path / "t.csv", ["-999.0", "NA", "7"], missing=["NA", "-999"])
    np.testing.assert_array_equal(found, [NAN, NAN, 7])
    assert column(tmp_path / "t.csv", ["x", "NA", "-999"], missing=["NA", "-999"]).tolist() == [
        "x",
        None,
        None,
    ]


def test_decimal_commas_are_read_in_columns_too(tmp_path):
    (tmp_path / "t.csv").write_text("pid;days;y\np;1,5;a\nq;;b\n")
    table = TableReader(path=tmp_path / "t.csv").read_columns(["days", "y"])
    np.testing.assert_array_equal(table.columns["days"], [1.5, NAN])


def test_all_columns_that_the_file_lacks_are_told_at_once(tmp_path):
    (tmp_path / "t.csv").write_text("pid,days,died\np,1,0\n")
    with pytest.raises(DataError) as error:
        TableReader(path=tmp_path / "t.csv").read_columns(["day", "died", "site"])
    assert 'has no column "day". Did you mean "days"?' in str(error.value)
    assert 'has no column "site"' in str(error.value)


def test_what_was_found_in_a_file_of_outcomes_is_told(tmp_path):
    (tmp_path / "t.csv").write_text("pid,days\np,1000\nq,2000\nr,1")
    (finding,) = TableReader(path=tmp_path / "t.csv").read_columns(["days"]).findings
    assert "no line end" in finding


def test_a_table_without_rows_has_empty_columns(tmp_path):
    (tmp_path / "t.csv").write_text("pid,days\n")
    table = TableReader(path=tmp_path / "t.csv").read_columns(["days"])
    assert (len(table.ids), len(table.columns["days"])) == (0, 0)


@pytest.mark.parametrize("word", ["NA", "1.5", "unknown"])
def test_a_word_among_decimal_commas_leaves_the_numbers_numbers(tmp_path, word):
    """The cells were text as a whole: each time was "no number", and proposed as missing."""
    (tmp_path / "t.csv").write_text(f"pid;days;y\np;12,5;a\nq;{word};b\nr;3;c\n")
    table = TableReader(path=tmp_path / "t.csv", decimal=",").read_columns(["days", "y"])
    assert table.columns["days"].tolist() == [12.5, word, "3"]
    assert table.columns["y"].tolist() == ["a", "b", "c"]


def test_text_with_commas_stays_text_among_decimal_commas(tmp_path):
    (tmp_path / "t.csv").write_text("pid;site;x\np;1,2 north;1,5\nq; a,b ;2\nr;;3\n")
    table = TableReader(path=tmp_path / "t.csv").read_columns(["site"])
    assert table.columns["site"].tolist() == ["1,2 north", " a,b ", None]
