import numpy as np
import pandas as pd
import pytest

from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError

FRAME = pd.DataFrame(
    {
        "patient_id": ["007", "B-2", "C-3"],
        "age": [61, 70, None],
        "smoker": [True, False, True],
        "stage": ["I", None, "II"],
        "note": ["x", "y", "z"],
    }
)


@pytest.fixture(params=["csv", "parquet"])
def path(request, tmp_path):
    path = tmp_path / f"t.{request.param}"
    if request.param == "csv":
        FRAME.to_csv(path, index=False)
    else:
        FRAME.to_parquet(path)
    return path


def read(path, **arguments):
    reader = TableReader(path=path, **arguments)
    return aggregate_spatial(reader.read(), reader.source)


def test_numbers_booleans_and_one_hot_categories_become_features(path):
    found = read(path, one_hot=["stage"], drop=["note"])
    assert found.ids == ("7", "B-2", "C-3")
    assert found.features == ("age", "smoker", "stage=I", "stage=II")
    np.testing.assert_array_equal(
        np.where(found.measured, found.mean, np.nan),
        [[61, 1, 1, 0], [70, 0, np.nan, np.nan], [np.nan, 1, 0, 1]],
    )
    assert found.n_cells_not_measured == 3


def test_text_that_the_recipe_does_not_name_is_refused_with_column_value_and_row(path):
    place = "line 2" if path.suffix == ".csv" else "row 0 .counted from 0."
    with pytest.raises(DataError, match=f'column note, {place}: "x" is not a number') as error:
        read(path, one_hot=["stage"])
    assert 'one_hot = ["note"]' in str(error.value)


def test_columns_may_be_chosen(path):
    assert read(path, columns=["age"]).features == ("age",)


def test_columns_of_outcomes_are_read_by_name(path):
    table = TableReader(path=path).read_columns(["age", "note"])
    assert table.columns["age"][:2].tolist() == [61, 70]
    assert table.columns["note"].tolist() == ["x", "y", "z"]


def test_a_wrong_column_name_comes_with_the_nearest(path):
    with pytest.raises(DataError, match='no column "stge".* Did you mean "stage"'):
        read(path, one_hot=["stge"])


def test_several_rows_a_patient_are_weighted(tmp_path):
    (tmp_path / "t.csv").write_text("pid,x,n,q\na,1,3,0.5\na,5,1,0.5\nb,2,1,1\n")
    found = read(tmp_path / "t.csv", weight="n", quality="q")
    assert found.mean.tolist() == [[2], [2]]
    assert found.quality.tolist() == [0.5, 1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("patient_id|x\n1|2\n", r"has 1 column; is it separated by \|"),
        ("patient_id x\n1 2\n", "has 1 column; is it separated by blanks"),
        ("name,x\n1,2\n", "no column of patient ids"),
        ("", "cannot be read as a table"),
        ("patient_id,x\n", "holds no rows"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path, text, says):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=says) as error:
        read(tmp_path / "t.csv")
    assert "t.csv" in str(error.value)


@pytest.mark.parametrize("row", [0, 1, 4095, 4096, 5000])
def test_a_line_of_more_values_than_the_header_has_names_is_refused(tmp_path, row):
    lines = [f"p{n},1,2" for n in range(5001)]
    lines[row] += ","
    (tmp_path / "t.csv").write_text("\n".join(["patient_id,age,x", *lines]))
    with pytest.raises(DataError, match=rf"t\.csv: line {row + 2} has 4 values for 3 columns"):
        read(tmp_path / "t.csv")
    with pytest.raises(DataError, match=f"line {row + 2} has"):
        TableReader(path=tmp_path / "t.csv").read_columns(["age"])


def test_a_comma_at_the_end_of_every_line_names_a_column_that_says_nothing(tmp_path):
    (tmp_path / "t.csv").write_text("patient_id,age,x,\na,1,2,\nb,3,4,\n")
    found = read(tmp_path / "t.csv", columns=["age", "x"])
    assert found.ids == ("a", "b")
    assert found.mean.tolist() == [[1, 2], [3, 4]]


def test_row_numbers_without_a_name_do_not_become_a_feature(tmp_path):
    """As pandas writes them unless told otherwise; in a file sorted by outcome they would tell it."""
    pd.DataFrame({"patient_id": ["a", "b"], "age": [1, 3]}).to_csv(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r't\.csv: column 1 has no name\. .* drop = \["Unnamed: 0"\]'):
        read(tmp_path / "t.csv")
    assert read(tmp_path / "t.csv", drop=["Unnamed: 0"]).features == ("age",)
    assert read(tmp_path / "t.csv", columns=["Unnamed: 0"]).features == ("Unnamed: 0",)


def test_commas_and_line_breaks_in_quotes_are_no_further_values(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbf"patient_id","a,b"\r\n"x, y",1\r\n\r\n"z\nw",\r\nv,\r\n')
    table = TableReader(path=tmp_path / "t.csv").read_columns(["a,b"])
    assert table.ids.tolist() == ["x, y", "z\nw", "v"]
    np.testing.assert_array_equal(table.columns["a,b"], [1, np.nan, np.nan])


def one_hot_of(path, codes):
    """What a column of codes becomes, by the names of its features: (N,) each."""
    pd.DataFrame({"pid": [f"p{n}" for n in range(len(codes))], "c": codes}).to_csv(path, index=False)
    found = read(path, one_hot=["c"])
    cells = np.where(found.measured, found.mean, np.nan)
    return dict(zip(found.features, cells.T, strict=True))


def test_a_category_is_one_wherever_in_a_long_file_it_stands(tmp_path):
    codes = [str(n % 3) for n in range(5000)]
    codes[4600] = "A"
    codes[7] = ""
    found = one_hot_of(tmp_path / "t.csv", codes)
    assert list(found) == ["c=0", "c=1", "c=2", "c=A"]
    for name, cells in found.items():
        expected = [float(f"c={code}" == name) if code else np.nan for code in codes]
        np.testing.assert_array_equal(cells, expected)


@pytest.mark.parametrize(
    ("codes", "features"),
    [
        (["0", "1", "0"], ["c=0", "c=1"]),
        (["0", "", "1"], ["c=0", "c=1"]),
        (["0.5", "1.5", "0.5"], ["c=0.5", "c=1.5"]),
        (["1", "1.0", "01"], ["c=1"]),
        (["1", "01", "B"], ["c=01", "c=1", "c=B"]),
        (["9007199254740992", "9007199254740993", ""], ["c=9007199254740992", "c=9007199254740993"]),
        (["inf", "-inf", "sNaN"], ["c=-inf", "c=inf", "c=sNaN"]),
        (["True", "False", ""], ["c=False", "c=True"]),
    ],
)
def test_numbers_are_categories_by_their_value_where_all_are_numbers(tmp_path, codes, features):
    found = one_hot_of(tmp_path / "t.csv", codes)
    assert list(found) == features
    assert [bool(np.isnan(row).all()) for row in np.stack([*found.values()], 1)] == [c == "" for c in codes]


def test_whole_numbers_of_parquet_are_called_so_with_and_without_gaps(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    codes = [None, *[1, 2] * 2500, (1 << 53) + 1]
    table = pyarrow.table({"pid": [f"p{n}" for n in range(len(codes))], "c": codes})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    found = read(tmp_path / "t.parquet", one_hot=["c"])
    assert found.features == ("c=1", "c=2", "c=9007199254740993")
    assert found.n_cells_not_measured == 3


def test_a_column_of_outcomes_is_of_text_or_of_numbers_as_a_whole(tmp_path):
    codes = [1] * 5000
    codes[4600] = "A"
    codes[7] = None
    pd.DataFrame({"pid": [f"p{n}" for n in range(5000)], "site": codes}).to_csv(
        tmp_path / "t.csv", index=False
    )
    sites = TableReader(path=tmp_path / "t.csv").read_columns(["site"]).columns["site"]
    assert {site for site in sites if isinstance(site, str)} == {"1", "A"}
    assert sum(isinstance(site, str) for site in sites) == 4999


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "t.csv")


WIDE = "case_id,age,TP53_rnaseq,EGFR_rnaseq,TP53_cnv\na,50,1,2,3\nb,60,4,5,6\n"


@pytest.mark.parametrize(
    ("given", "features"),
    [
        ({"columns": ["*_rnaseq"]}, ("TP53_rnaseq", "EGFR_rnaseq")),
        ({"columns": ["age", "TP53_*"]}, ("age", "TP53_rnaseq", "TP53_cnv")),
        ({"drop": ["*_rnaseq"]}, ("age", "TP53_cnv")),
        ({"columns": ["*"], "drop": ["age"]}, ("TP53_rnaseq", "EGFR_rnaseq", "TP53_cnv")),
    ],
)
def test_a_star_stands_for_any_text_of_a_name(tmp_path, given, features):
    path = tmp_path / "t.csv"
    path.write_text(WIDE)
    (table,) = TableReader(path=path, **given).read()
    assert table.features == features


def test_a_column_whose_name_has_a_star_is_itself(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("case_id,HLA*,HLA_B\na,1,2\nb,3,4\n")
    (table,) = TableReader(path=path, columns=["HLA*"]).read()
    assert table.features == ("HLA*",)


def test_a_pattern_that_fits_nothing_is_refused_and_none_for_a_trained_run(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(WIDE)
    with pytest.raises(DataError, match="no column has a name like \\*_mirna. Its columns: case_id, age"):
        list(TableReader(path=path, columns=["*_mirna"]).read())
    reader = TableReader(path=path, columns=["age", "*_mirna"]).with_features(("age", "x_mirna"))
    assert next(reader.read()).features == ("age",)
