"""A trained run's features are made from any later file, one patient's too."""

import numpy as np
import pytest

from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError
from hcat_core.reading import VocabularyReader

TRAINED = ("age", "sex=f", "sex=m", "stage=I", "stage=II", "stage=III")
CHOICES = {"one_hot": ["sex", "stage"], "drop": ["note"]}


def read(path, text, features=TRAINED, **arguments):
    """One row for each patient, by feature, and the findings."""
    path.write_text(text)
    reader = TableReader(path=path, **{**CHOICES, **arguments}).with_features(features)
    assert isinstance(reader, VocabularyReader)
    found = aggregate_spatial(reader.read(), reader.source)
    values = np.where(found.measured, found.mean, np.nan).tolist()
    return [dict(zip(found.features, row, strict=True)) for row in values], found.findings


@pytest.fixture
def path(tmp_path):
    return tmp_path / "one.csv"


def known(row):
    return {name: value for name, value in row.items() if value == value}


def test_one_patient_has_the_features_of_all_categories(path):
    (row,), findings = read(path, "pid,age,sex,stage,note\np,61,f,II,x\n")
    assert row == {"age": 61, "sex=f": 1, "sex=m": 0, "stage=I": 0, "stage=II": 1, "stage=III": 0}
    assert findings == ()


def test_the_features_are_those_of_training_whatever_the_order_of_the_columns(path):
    (row,), _ = read(path, "stage,pid,sex,age\nIII,p,m,61\n")
    assert row == {"age": 61, "sex=f": 0, "sex=m": 1, "stage=I": 0, "stage=II": 0, "stage=III": 1}


def test_a_new_category_is_not_measured_and_told_with_its_count(path):
    rows, findings = read(path, "pid,age,sex,stage\np,61,x,IV\nq,62,x,I\nr,63,m,\n")
    assert known(rows[0]) == {"age": 61}
    assert known(rows[1]) == {"age": 62, "stage=I": 1, "stage=II": 0, "stage=III": 0}
    assert known(rows[2]) == {"age": 63, "sex=f": 0, "sex=m": 1}
    assert findings == (
        'one.csv: categories that the trained run does not have are not measured: sex: "x" (2); '
        'stage: "IV" (1).',
    )


@pytest.mark.parametrize("lacking", ["age", "sex", "stage"])
def test_a_column_that_the_file_lacks_is_left_out(path, lacking):
    cells = {"pid": "p", "age": "61", "sex": "f", "stage": "I"}
    del cells[lacking]
    (row,), findings = read(path, f"{','.join(cells)}\n{','.join(cells.values())}\n")
    assert set(row) == {name for name in TRAINED if not name.startswith(lacking)}
    assert findings == ()


def test_columns_that_training_did_not_have_are_left_out_and_told_at_once(path):
    (row,), findings = read(path, "pid,bmi,age,ward,\np,22,61,north,7\n")
    assert row == {"age": 61}
    assert findings == (
        "one.csv: columns that are no features of the trained run are left out: bmi, ward, Unnamed: 4.",
    )


def test_columns_and_drop_of_the_recipe_need_not_be_in_the_file(path):
    (row,), findings = read(path, "pid,age,bmi\np,61,3\n", columns=["age", "sex", "stage"], drop=["gone"])
    assert (row, findings) == ({"age": 61}, ())
    with pytest.raises(DataError, match="has none of the columns of the trained run: age, sex=f"):
        read(path, "pid,bmi\np,3\n")
    with pytest.raises(DataError, match='no column "w"'):
        read(path, "pid,age\np,61\n", weight="w")


@pytest.mark.parametrize(
    ("categories", "cell", "expected"),
    [
        (("1", "2"), "1.0", "1"),
        (("1.0", "2.0"), "1", "1.0"),
        (("1", "2"), "01", "1"),
        (("1", "A"), "1.0", None),  # not all are numbers: text is text
        (("1", "2"), "x", None),
        (("f", "m"), " f ", "f"),
        (("f", "m"), "F", None),
        (("a=b", "c"), "a=b", "a=b"),
        (("NA", "x"), "NA", "NA"),
    ],
)
def test_a_category_is_recognised_as_in_training(path, categories, cell, expected):
    features = tuple(f"c={category}" for category in categories)
    (row, _), _ = read(path, f"pid,c\np,{cell}\nq,{categories[0]}\n", features, one_hot=["c"], drop=None)
    if expected is None:
        assert known(row) == {}
    else:
        assert row == {f"c={name}": float(name == expected) for name in categories}


@pytest.mark.parametrize(
    "codes", [("1_1", "11"), ("1E2", "100"), ("２", "2"), ("+7", "7"), ("1e1", "10.0")]
)
def test_codes_that_python_could_take_for_one_number_are_two_categories(path, codes):
    """Decimal("1_1") is 11, and a patient of code 1_1 became one of code 11."""
    trained = tuple(f"c={code}" for code in codes)
    rows, findings = read(path, f"pid,c\np,{codes[0]}\nq,{codes[1]}\n", trained, one_hot=["c"], drop=None)
    assert [row[name] for row, name in zip(rows, trained, strict=True)] == [1.0, 1.0] and not findings
    (row,), findings = read(path, f"pid,c\np,{codes[0]}\n", (trained[1], "c=3"), one_hot=["c"], drop=None)
    assert known(row) == {} and "does not have" in findings[0]


def test_a_column_with_an_equals_sign_in_its_name_is_a_column(path):
    text = "pid,T=1 mm,c\np,5,x=y\n"
    arguments = {"one_hot": ["c"], "drop": None}
    (row,), findings = read(path, text, ("T=1 mm", "c=x=y", "c=z"), **arguments)
    assert (row, findings) == ({"T=1 mm": 5, "c=x=y": 1, "c=z": 0}, ())


@pytest.mark.parametrize(
    ("header", "one_hot"), [("sex,sex=f", ["sex"]), ("sex=f,sex", ["sex"]), ("a,a=b", ["a", "a=b"])]
)
def test_a_column_that_is_called_like_a_category_is_refused_in_training(path, header, one_hot):
    path.write_text(f"pid,{header}\np,1,0\n")
    with pytest.raises(DataError, match="is called like a category of the column"):
        list(TableReader(path=path, one_hot=one_hot).read())


def test_words_among_numbers_stay_an_error(path):
    with pytest.raises(DataError, match='column age, line 2: "old" is not a number'):
        read(path, "pid,age\np,old\n")


def test_a_reader_with_features_leaves_the_first_one_as_it_was(path):
    path.write_text("pid,c\np,x\n")
    first = TableReader(path=path, one_hot=["c"])
    first.with_features(("c=y", "c=z"))
    assert next(iter(first.read())).features == ("c=x",)
