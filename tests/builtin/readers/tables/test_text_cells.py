"""Only an empty cell is not measured; a word among numbers is an error that names it."""

import numpy as np
import pandas as pd
import pytest

from hcat_builtin.readers.tables.cells import MOST_ROWS
from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError


def read(path, text, **arguments):
    """Features, (N, d) values with NaN where not measured, and findings of a CSV."""
    path.write_text(text)
    reader = TableReader(path=path, **arguments)
    found = aggregate_spatial(reader.read(), reader.source)
    return found.features, np.where(found.measured, found.mean, np.nan).tolist(), found.findings


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.csv"


@pytest.mark.parametrize(
    "word", ["None", "NA", "null", "nan", "NaN", "N/A", "n/a", "-", "#N/A", "unknown", "0"]
)
def test_a_word_is_a_category_as_any_other(path, word):
    """30 of 60 patients without treatment were "not measured": pandas has a list of such words."""
    lines = "".join(f"p{n},{('Chemo', word)[n % 2]}\n" for n in range(6))
    features, values, _ = read(path, f"pid,adjuvant\n{lines}", one_hot=["adjuvant"])
    assert set(features) == {"adjuvant=Chemo", f"adjuvant={word}"}
    assert not np.isnan(values).any()
    assert np.sum(values, axis=0).tolist() == [3, 3]


@pytest.mark.parametrize("cell", ["", " ", "   ", "\t", '""', '" "'])
def test_an_empty_cell_or_one_of_blanks_is_not_measured(path, cell):
    features, values, findings = read(path, f"pid,a,c\np,{cell},{cell}\nq,2,x\n", one_hot=["c"])
    assert features == ("a", "c=x")
    np.testing.assert_array_equal(values, [[np.nan, np.nan], [2, 1]])
    assert findings == ()


def test_the_words_that_mean_not_measured_are_named_in_the_recipe(path):
    text = "pid,a,c,b\np,1,NA,.\nq,NA,x, . \nr, . ,None,2\n"
    features, values, _ = read(path, text, one_hot=["c"], missing=["NA", "."])
    assert features == ("a", "c=None", "c=x", "b")
    nan = np.nan
    np.testing.assert_array_equal(values, [[1, nan, nan, nan], [nan, 0, 1, nan], [nan, 1, 0, 2]])


@pytest.mark.parametrize("cell", ["-999", "-999.0", " -999", "-9.99e2", "-999."])
def test_a_number_that_means_not_measured_matches_by_its_value(path, cell):
    text = f"pid,a,c\np,{cell},{cell}\nq,2,1\nr,3.5,2\n"
    features, values, findings = read(path, text, one_hot=["c"], missing=["-999"])
    assert features == ("a", "c=1", "c=2")
    np.testing.assert_array_equal(values, [[np.nan] * 3, [2, 1, 0], [3.5, 0, 1]])
    assert findings == ()


def test_all_columns_of_text_are_told_in_one_error_with_line_and_count(path):
    lines = "".join(f"p{n},{n},{'NA' if n > 3 else n},f,II\n" for n in range(6))
    with pytest.raises(DataError) as error:
        read(path, f"pid,age,crp,sex,stage\n\n{lines}")
    message = str(error.value)
    assert 'column crp, line 7: "NA" is not a number (2 such cells)' in message
    assert 'column sex, line 3: "f" is not a number (6 such cells)' in message
    assert 'column stage, line 3: "II"' in message
    assert 'one_hot = ["sex", "stage"]' in message
    assert 'missing = ["NA"]' in message
    assert "age" not in message.replace("stage", "")


@pytest.mark.parametrize(
    "word",
    ["nan", "inf", "-inf", "Infinity", "1_000", "0x10", "1,234", "1,5", "١٢", "１２", "1e", "1e400", "1e39"]
    + [
        "12 mg",
        "<0.1",
        ">100",
        "1.2.3",
        "--1",
        "1d5",
        "5%",
        "$5",
        "(5)",
        "−5",
        "1\u00a0000",
        "TRUE",
        "ja",
        "-",
    ],
)
def test_text_that_is_no_number_is_never_read_as_one(path, word):
    with pytest.raises(DataError, match="column a, line 3: .* is not a number"):
        read(path, f'pid,a\np,2\nq,"{word}"\nr,3\n')


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.", 1), (".5", 0.5), ("+1", 1), ("-0", 0), ("1e3", 1000), ("1E-3", 0.001), ("007", 7), (" 4 ", 4)]
    + [("12345678901234567890123", 1.2345678901234567e22), ("1e-400", 0), ("-1.5e+2", -150)],
)
def test_numbers_as_programs_write_them(path, text, number):
    _, values, _ = read(path, f"pid,a\np,{text}\nq,\nr,-7.5\n")
    np.testing.assert_allclose(values, [[number], [np.nan], [-7.5]], rtol=1e-6)


def test_infinity_can_be_named_as_missing(path):
    _, values, _ = read(path, "pid,a\np,inf\nq,1.5\nr,-inf\n", missing=["inf", "-inf"])
    np.testing.assert_array_equal(values, [[np.nan], [1.5], [np.nan]])


@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("TRUE", "FALSE"), ("true", "false")])
def test_true_and_false_are_one_and_zero(path, yes, no):
    _, values, _ = read(path, f"pid,a,b\np,{yes},{yes}\nq,{no},\nr,{yes},{no}\n")
    np.testing.assert_array_equal(values, [[1, 1], [0, np.nan], [1, 0]])


def test_true_among_numbers_is_a_word_also_far_away_in_the_file(path):
    numbers = "".join(f"p{n},{n}\n" for n in range(MOST_ROWS))
    with pytest.raises(DataError, match="column a: True and False stand among numbers"):
        read(path, f"pid,a\n{numbers}q,True\n")
    with pytest.raises(DataError, match='line 2: "True" is not a number'):
        read(path, f"pid,a\nq,True\n{numbers}")


@pytest.mark.parametrize("row", [0, 16_383, 16_384, 30_000])
def test_a_word_is_found_wherever_in_a_long_file_it_stands(path, row):
    lines = [f"p{n},1.5" for n in range(30_001)]
    lines[row] = f"p{row},high"
    with pytest.raises(DataError, match=rf'column a, line {row + 2}: "high" is not a number'):
        read(path, "\n".join(["pid,a", *lines, ""]))


def test_the_line_of_a_word_counts_line_breaks_in_quotes_and_empty_lines(path):
    with pytest.raises(DataError, match='column a, line 7: "x"'):
        read(path, 'pid,a,n\np,1,"one\ntwo"\n\n  \nq,2,z\nr,x,z\n', drop=["n"])


def test_blanks_around_categories_and_column_names_say_nothing(path):
    features, values, _ = read(path, "pid, sex ,a\np,f ,1\nq, f,2\nr,m,3\n", one_hot=["sex"])
    assert features == ("sex=f", "sex=m", "a")
    assert values == [[1, 0, 1], [1, 0, 2], [0, 1, 3]]


@pytest.mark.parametrize("twins", [("Male", "male"), ("IIb", "IIB"), ("ja", "Ja"), ("ÜBER", "über")])
def test_categories_that_differ_only_in_case_are_told_and_not_merged(path, twins):
    one, other = twins
    features, _, findings = read(path, f"pid,c\np,{one}\nq,{other}\nr,{one}\n", one_hot=["c"])
    assert set(features) == {f"c={one}", f"c={other}"}
    (finding,) = findings
    assert "upper and lower case" in finding
    assert f'"{one}" (2)' in finding
    assert f'"{other}" (1)' in finding


@pytest.mark.parametrize("word", ["NA", "n/a", "nan", "null", "."])
def test_a_category_whose_name_may_mean_not_measured_is_told(path, word):
    _, _, findings = read(path, f"pid,c\np,x\nq,{word}\n", one_hot=["c"])
    assert findings == (
        f't.csv: words that are categories of their own: c: "{word}" (1). If they mean not measured: '
        f'missing = ["{word}"].',
    )
    assert read(path, f"pid,c\np,x\nq,{word}\n", one_hot=["c"], missing=[word])[2] == ()


def test_a_parquet_table_has_the_same_words(tmp_path):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"pid": ["p", "q", "r"], "c": ["None", " ", "NA "], "a": ["1", "-999.0", ""]}).to_parquet(
        tmp_path / "t.parquet"
    )
    reader = TableReader(path=tmp_path / "t.parquet", one_hot=["c"], missing=["-999"])
    found = aggregate_spatial(reader.read(), reader.source)
    assert found.features == ("c=NA", "c=None", "a")
    nan = np.nan
    np.testing.assert_array_equal(
        np.where(found.measured, found.mean, nan), [[0, 1, 1], [nan, nan, nan], [1, 0, nan]]
    )
    with pytest.raises(DataError, match='column c, row 0 .counted from 0.: "None" is not a number'):
        list(TableReader(path=tmp_path / "t.parquet").read())


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["12 mg", "30 mg"], "12 mg"),
        (["<0.5", "3.0"], "<0.5"),
        (["12%", "30 %"], "12%"),
        (['"1,234"', '"2,345,678"'], "1,234"),
        (["\u22125", "5"], "\u22125"),
    ],
)
def test_a_measured_quantity_is_never_proposed_as_missing(path, cells, says):
    with pytest.raises(DataError, match="Write quantities as numbers alone") as error:
        read(path, "pid,psa\n" + "".join(f"p{n},{cell}\n" for n, cell in enumerate(cells)))
    assert f'line 2: "{says}" is not a number' in str(error.value) and "missing" not in str(error.value)


def test_words_beside_quantities_are_proposed_as_missing(path):
    with pytest.raises(DataError, match=r'missing = \["3b", "NA"\]; otherwise correct'):
        read(path, "pid,psa\np,<0.5\nq,NA\nr,2\ns,3b\n")


@pytest.mark.parametrize("codes", [("1_1", "11"), ("1E2", "100"), ("２", "2"), ("1e1", "10.0")])
def test_codes_are_not_merged_because_python_reads_them_as_one_number(path, codes):
    text = f"pid,c\np,{codes[0]}\nq,{codes[1]}\n"
    features, values, findings = read(path, text, one_hot=["c"])
    assert set(features) == {f"c={code}" for code in codes} and findings == ()
    assert [features[row.index(1)] for row in values] == [f"c={code}" for code in codes]


@pytest.mark.parametrize("other", ["010", "10.0", "0010.00"])
def test_numbers_of_several_spellings_are_one_category_which_is_told(path, other):
    features, values, findings = read(path, f"pid,c\np,{other}\nq,10\nr,2\n", one_hot=["c"])
    assert features == ("c=10", "c=2") and values == [[1, 0], [1, 0], [0, 1]]
    assert "that are the same number are one: c: " in findings[0] and f'"{other}" (1)' in findings[0]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("p,f\np,m\nq,f\n", "c (1). Their rows are averaged"),
        ("p,f\nq,f\nq,m\np,m\n", "c (2). Their"),
        ("p,f\n" + "q,f\n" * MOST_ROWS + "p,m\n", "c (1). Their"),  # in two chunks
    ],
)
def test_rows_of_different_categories_of_one_patient_are_told(path, rows, says):
    """A table with one patient twice made it half a man and half a woman, without a word."""
    _, values, (finding,) = read(path, f"pid,c\n{rows}", one_hot=["c"])
    assert finding.startswith("t.csv: patients with rows of different categories: ") and says in finding
    assert values[0] == [0.5, 0.5]


@pytest.mark.parametrize("rows", ["p,f\np,f\nq,m\n", "p,f\np,\nq,m\n", "p,f\nq,m\n"])
def test_rows_that_agree_or_are_empty_are_not_told(path, rows):
    assert read(path, f"pid,c\n{rows}", one_hot=["c"])[2] == ()
