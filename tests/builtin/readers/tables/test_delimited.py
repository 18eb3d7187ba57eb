"""How a text table is written: lines, separators, decimal marks, encodings, compression."""

import gzip
import re

import numpy as np
import pytest

from hcat_builtin.readers.tables import unpacking
from hcat_builtin.readers.tables.open_table import open_table
from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError


def read(path, content, **arguments):
    """Ids, features, values and findings of a text table."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    reader = TableReader(path=path, **arguments)
    found = aggregate_spatial(reader.read(), reader.source)
    values = np.where(found.measured, found.mean, np.nan).astype(float).round(5).tolist()
    return list(found.ids), found.features, values, found.findings


def refusal(path, content, **arguments):
    with pytest.raises(DataError) as error:
        read(path, content, **arguments)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.csv"


ROWS = "".join(f"p{n},{n}.25,{n}\n" for n in range(9))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (
            ROWS + "p9",
            "line 11 has 1 value for 3 columns. Every line needs .* last line: is the file whole",
        ),
        (ROWS + "p9,1\n", "line 11 has 2 values for 3 columns"),
        ("q,1\n" + ROWS, "line 2 has 2 values for 3 columns"),
        (ROWS + "q,1,2,3\n", "line 11 has 4 values for 3 columns"),
        ("q,1\n" + ROWS + "r,1,2,3\ns\n", "line 2 has 2 values, line 12 has 4 values, line 13 has 1 value"),
        ("q,1\n" * 9 + ROWS, "line 6 has 2 values for 3 columns; 4 more lines have another number"),
        ('"q\nr",1\n' + ROWS, "line 2 has 2 values for 3 columns"),
        (ROWS + '"q",1\n', "line 11 has 2 values for 3 columns"),
        ("\n\n" + ROWS + "\nq,1\n", "line 14 has 2 values for 3 columns"),
        (ROWS + '""\n', "line 11 has 1 value for 3 columns"),
        (ROWS.replace("\n", ",1\n"), "Every line has one value more than the header"),
    ],
)
def test_a_line_of_another_length_is_refused_by_its_number(path, lines, says):
    assert re.search(says, refusal(path, f"pid,a,b\n{lines}"), re.DOTALL)


def test_lines_are_counted_also_across_blocks_and_quotes(path, monkeypatch):
    monkeypatch.setattr("hcat_builtin.readers.tables.delimited.BLOCK", 7)
    text = 'pid,a,n\n"p",1,"x\n\ny"\nq,2,z\n\n"r, s",3,"say ""hi"""\n'
    assert read(path, text, drop=["n"])[0] == ["p", "q", "r, s"]
    assert "line 8 has 1 value" in refusal(path, text + "t\n", drop=["n"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('pid,a\np,"1\nq,2\nr,3\n', "line 2: the quotes that open there are never closed"),
        ('pid,n\np,1\nq,"5" pipe"\n', "line 3: a quote stands inside of a value"),
        ('pid,a\np,1\nq,"2\n', "line 3: the quotes that open there are never closed"),
        ('pid,a\np,"' + "1\n" * 200_000, "line 2: a value in quotes goes on for over 131,072 characters"),
        ("pid,a\np,1\nq,\0\n", "line 3 holds NUL bytes"),
        ("pid,a\0\np,1\n", "line 1 holds NUL bytes"),
    ],
)
def test_bad_quotes_and_nul_bytes_are_refused_by_line(path, text, says):
    assert says in refusal(path, text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_certain_is_read(path, end, separator, encoding, packed):
    """Of Windows, Linux and old Macs; with the marks of Excel; packed or not."""
    lines = [
        ["pid", "Größe", "sex", ""],
        ["p", "1.5", "ü, v; w", ""],
        ["007", "", "", ""],
        ["r", "-2", "m", ""],
    ]
    quoted = [[f'"{cell}"' if "," in cell else cell for cell in line] for line in lines]
    content = "".join(separator.join(line) + end for line in quoted).encode(encoding)
    content = gzip.compress(content) if packed else content
    ids, features, values, findings = read(path, content, one_hot=["sex"], drop=["Unnamed: 3"])
    assert ids == ["p", "7", "r"]
    assert features == ("Größe", "sex=m", "sex=ü, v; w")
    nan = np.nan
    np.testing.assert_array_equal(values, [[1.5, 0, 1], [nan, nan, nan], [-2, 1, 0]])
    assert findings == ()


@pytest.mark.parametrize(
    ("name", "text", "separator"),
    [
        ("t.csv", "pid;a,b\np;1\nq;2\n", "semicolons"),  # a comma in a name
        ("t.csv", "pid,a;b\np,1\nq,2\n", "CSV: "),
        ("t.tsv", "pid\ta,x\np\t1,5\nq\t2,5\n", "tabs"),  # even both ways; the file's name decides
        ("t.csv", "sep=;\npid;a,x\np;1,5\nq;2,5\n", "semicolons"),  # the first line of Excel decides
        ("t.csv", 'pid,"a;b"\np,"1;2"\nq,"2;3"\nr,3\n', "CSV: "),
    ],
)
def test_the_separator_is_the_one_that_makes_all_lines_even(tmp_path, name, text, separator):
    (tmp_path / name).write_text(text)
    assert separator in TableReader(path=tmp_path / name).describe()


def test_a_separator_that_is_not_certain_is_refused(path):
    assert "separated by commas or semicolons" in refusal(path, "pid;a,b\np;1,5\nq;2,5\n")


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1,5", "2", "-0,25"], [1.5, 2, -0.25]),
        (["0,125", "0,5", "1e3"], [0.125, 0.5, 1000]),
        (["1234,567", "1", "2"], [1234.567, 1, 2]),
        (["1,5e2", "1", ""], [150, 1, np.nan]),
        (["1.5", "2.25", "3"], [1.5, 2.25, 3]),
        (["1", "2", "3"], [1, 2, 3]),
    ],
)
def test_the_decimal_mark_is_what_all_numbers_say(path, separator, cells, numbers):
    lines = "".join(f"p{n}{separator}{cell}\n" for n, cell in enumerate(cells))
    _, _, values, findings = read(path, f"pid{separator}psa\n{lines}")
    np.testing.assert_allclose(np.ravel(values), numbers, rtol=1e-6)
    assert findings == ()


def test_decimal_commas_are_read_in_every_column_and_in_missing_values(path):
    text = "pid;a;b;c\np;1,5;-999,0;x\nq; 2,5 ;0,5;y\n"
    _, features, values, _ = read(path, text, one_hot=["c"], missing=["-999"])
    assert features == ("a", "b", "c=x", "c=y")
    np.testing.assert_array_equal(values, [[1.5, np.nan, 1, 0], [2.5, 0.5, 0, 1]])


@pytest.mark.parametrize("given", ["-9,9", "-9.9", "-9,90", "-99e-1"])
def test_a_code_for_missing_is_given_with_either_decimal_mark(path, given):
    """In a column of numbers alone -9,9 was read as a value, though ``missing`` named it."""
    _, _, values, _ = read(path, "pid;a\np;-9,9\nq;1,5\nr;2,5\n", missing=[given])
    np.testing.assert_array_equal(values, [[np.nan], [1.5], [2.5]])
    _, _, values, _ = read(path, "pid,a\np,9.9\nq,1.5\n", missing=["9,9"])  # a text, not a number
    np.testing.assert_allclose(values, [[9.9], [1.5]])


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["1,234", "5", "12,500"], "can be 1.234 or more than a thousand"),
        (["1,5", "2.5"], "numbers with commas .1,5. and numbers with points .1.5."),
        (["1.234,5", "2,5"], 'line 2: "1.234,5" is not a number'),
        (["1,234,567", "2,5"], 'line 2: "1,234,567" is not a number'),
    ],
)
def test_marks_that_are_not_certain_are_refused(path, cells, says):
    lines = "".join(f"p{n};{cell}\n" for n, cell in enumerate(cells))
    assert re.search(says, refusal(path, f"pid;a\n{lines}"))


def test_the_recipe_decides_on_the_decimal_mark(path):
    assert read(path, "pid;a\np;1,234\nq;5\n", decimal=",")[2] == [[1.234], [5]]
    assert read(path, 'pid,a\np,"1,5"\nq,5\n', decimal=",")[2] == [[1.5], [5]]
    assert 'decimal = ","' in refusal(path, 'pid,a\np,"1,5"\nq,5\n')
    text = "pid;exons;a\np;12,13;1.5\nq;4,5;2.5\n"
    assert read(path, text, decimal=".", drop=["exons"])[2] == [[1.5], [2.5]]
    assert '"1.5" is not a number' in refusal(path, text, decimal=",", drop=["exons"])


def test_points_that_may_stand_between_thousands_are_told(path):
    (finding,) = read(path, "pid;a\np;1.234\nq;12.500\n")[3]
    assert "1.234 are read with a decimal point" in finding
    assert read(path, "pid;a\np;1.234\nq;12.5\n")[3] == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("pid,Größe\np,1\n".encode("latin-1"), "line 1 holds the byte 0xf6, which is not UTF-8"),
        ("pid,a,n\np,1,x\nq,2,€\n".encode("cp1252"), "line 3 holds the byte 0x80, which is not UTF-8"),
        ("pid,a\np,1\n".encode("utf-16-le"), "line 1 holds NUL bytes"),
        ("pid,a\np,1\n".encode("utf-16") + b"\n", "begins as UTF-16 and holds bytes that are not"),
        (gzip.compress(ROWS.encode(), mtime=0)[:-10], "cannot be unpacked by gzip"),
        (gzip.compress(b"pid,a\np,1\n", mtime=0) + b"more", "cannot be unpacked by gzip"),
    ],
)
def test_what_is_no_text_is_refused(path, content, says):
    assert says in refusal(path, content)


def test_a_file_that_unpacks_without_end_is_not_unpacked(path, monkeypatch):
    monkeypatch.setattr(unpacking, "SMALL_FILE", 1 << 20)
    bomb = gzip.compress(b"pid,a\n" + b"p,1\n" * (1 << 20))
    assert "unpacks to over 100 times its size" in refusal(path, bomb)


def test_a_line_or_a_header_without_end_is_refused_early(path, monkeypatch):
    monkeypatch.setattr("hcat_builtin.readers.tables.delimited.MAX_LINE", 2_000)
    monkeypatch.setattr("hcat_builtin.readers.tables.delimited.BLOCK", 1_000)
    monkeypatch.setattr("hcat_builtin.readers.tables.header.MAX_LINE", 2_000)
    monkeypatch.setattr("hcat_builtin.readers.tables.header.MAX_COLUMNS", 50)
    assert "a line of over 2,000 characters" in refusal(path, "pid,a\np," + "1" * 9_999)
    assert "its first line has over 2,000 characters" in refusal(path, "pid," + "a" * 9_999)
    assert "has 51 columns; hcat reads up to 50" in refusal(path, "pid" + ",a" * 50 + "\n")


LONG = "pid,a,b\n" + "".join(f"p{n},{n}.25,{1001 + n}.5\n" for n in range(120))


@pytest.mark.parametrize("cut", range(2, 8))
def test_a_value_that_may_have_lost_its_end_is_told(path, cut):
    """``1120.5`` cut off was 1, and nobody was told."""
    findings = read(path, LONG[:-cut])[3]
    assert len(findings) == 1
    assert "the last line has no line end, and its value of b is shorter than others" in findings[0]


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        LONG[:-1],  # as many editors write: nothing is lost
        "pid,a\np,0\nq,1\nr,0",
        'pid,n,a\np,2,12\nq,3,"1"',
        "pid,a\np,5",
        "pid,a\np,1\nq,",
    ],
)
def test_a_last_line_without_line_end_that_lost_nothing_is_not_told(path, text):
    if text.endswith(","):
        assert "shorter" in read(path, text)[3][0]  # an empty cell may have been a value
    else:
        assert read(path, text)[3] == ()


def test_columns_of_one_name_are_refused_unless_they_are_left_out(path):
    text = "pid,age,x,age, x\np,1,2,3,4\n"
    message = refusal(path, text)
    assert 'columns 2, 4 are called "age"' in message
    assert 'columns 3, 5 are called "x"' in message
    assert read(path, "pid,age,x,age\np,1,2,3\n", drop=["age"])[1:3] == (("x",), [[2]])
    assert read(path, "pid,age,x,age\np,1,2,3\n", columns=["x"])[2] == [[2]]
    with pytest.raises(DataError, match='columns 2, 4 are called "age"'):
        TableReader(path=path).read_columns(["age"])
    assert 'columns 1, 2 are called "pid"' in refusal(path, "pid,pid,x\np,q,1\n")


def test_a_file_without_header_is_told_as_such(path):
    assert "does the file lack its header?" in refusal(path, "17,61,5.2\n18,62,5.4\n")
    assert "lack its header" not in refusal(path, "name,age\nx,61\n")


def test_a_file_that_grows_while_it_is_read_is_refused(path):
    path.write_text("pid,a\np,1\n")
    table = open_table(path)
    path.write_text("pid,a\np,1\nq,2\n")
    with pytest.raises(DataError, match="1 rows were counted, and 2 read. Is the file being written"):
        list(table.chunks("pid", [], ["a"]))


def test_names_that_are_numbers_are_names(path):
    assert read(path, "pid,0,1\np,5,6\n")[1] == ("0", "1")


def test_a_row_without_patient_is_refused_by_its_line(path):
    assert "line 4 has no patient id" in refusal(path, "pid,a\np,1\nq,2\n,3\n")
    assert "line 3 has no patient id" in refusal(path, "pid,a\np,1\n,\n")


CBIOPORTAL = "#Patient Identifier\tAge\n#Identifier\tAge\n#STRING\tNUMBER\n#1\t1\n"


@pytest.mark.parametrize(
    "comments",
    [
        CBIOPORTAL,
        "# exported on 2024-01-01\n",
        "# exported, by me, today\n",
        "##fileformat=x\n##a\tb\n",
        "#\n\n",
        "#a\tb\tc\n",
        "##a\n" * 80,
    ],
)
def test_comments_above_the_header_are_skipped(path, comments):
    ids, features, values, findings = read(path, f"{comments}pid\tage\np\t61\nq\t62\n")
    assert (ids, features, findings) == (["p", "q"], ("age",), ()) and values == [[61], [62]]
    line = comments.count("\n") + 3
    assert f'line {line}: "x" is not a number' in refusal(path, f"{comments}pid\tage\np\t61\nq\tx\n")
    assert f"line {line} has 3 values" in refusal(path, f"{comments}pid\tage\np\t61\nq\t1\t2\n")


@pytest.mark.parametrize("above", ["", "##meta\n##more,of,it\n"])
@pytest.mark.parametrize("name", ["#pid", "#"])
def test_a_name_that_begins_with_a_hash_is_a_name(path, above, name):
    text = f"{above}{name},a\n#1,1\n#2,2\n"
    ids, features, values, _ = read(path, text, patient_id=name)
    assert (ids, features, values) == (["#1", "#2"], ("a",), [[1], [2]])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_at_the_end_of_every_line_are_no_row_names(path, separator):
    """Their first column has a name: to put one in front of the header would shift all values."""
    lines = "".join(separator.join([f"p{n}", "1", "2", ""]) + "\n" for n in range(3))
    message = refusal(path, separator.join(["pid", "a", "b"]) + "\n" + lines)
    assert "Every line ends with a" in message and 'drop = ["Unnamed: 3"]' in message
    text = separator.join(["pid", "a", "b", ""]) + "\n" + lines
    assert read(path, text, drop=["Unnamed: 3"])[2] == [[1, 2]] * 3
