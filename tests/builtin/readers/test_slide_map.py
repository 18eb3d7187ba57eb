"""The map of slides and patients is a table of text, read as other tables are."""

import gzip

import pandas as pd
import pytest

from hcat_builtin.readers.slide_map import read_slide_map
from hcat_core.errors import DataError


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        "slide_id,case_id\ns1.svs,007\ns2,NA\n",
        "slide_id;case_id\ns1.svs;007\ns2;NA\n",
        "case_id\tnote\tslide_id\n007\t\ts1.svs\n NA \tx, y\ts2\n",
        "\ufeffSlide_ID,Case_ID\r\n\r\ns1.svs,007\r\ns2,NA\r\n",
        "slide_id,case_id\ns1.svs,007\ns2,NA\n".encode("utf-16"),
        gzip.compress(b"slide_id,case_id\ns1.svs,007\ns2,NA\n", mtime=0),
    ],
)
def test_a_map_is_read_however_it_is_written_and_na_is_a_patient(tmp_path, content):
    assert read_slide_map(write(tmp_path / "map.csv", content)) == {"s1": "007", "s2": "NA"}


def test_a_map_of_parquet_has_numbers_as_text(tmp_path):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"slide": ["s1", "s2"], "patient": [7, 8]}).to_parquet(tmp_path / "map.parquet")
    assert read_slide_map(tmp_path / "map.parquet") == {"s1": "7", "s2": "8"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("slide,patient\ns1,p\n\ns2,\ns3, \n", "line 4 lacks its slide or its patient, and so do 1 more"),
        ("slide,patient\ns1,p\ns2\n", "line 3 has 1 value for 2 columns"),
        ("slide,patient,patient\ns1,p,q\n", 'columns 2, 3 are called "patient"'),
        ("slide,patient\ns1,ä\n".encode("latin-1"), "line 2 holds the byte 0xe4, which is not UTF-8"),
        (b"PK\x03\x04", "is a ZIP archive or an Office file that is not whole"),
        ("slide|patient\ns1|p\n", "has 1 column"),
    ],
)
def test_what_is_no_map_is_refused_by_its_line(tmp_path, content, says):
    with pytest.raises(DataError) as error:
        read_slide_map(write(tmp_path / "map.csv", content))
    assert f"map.csv: {says}" in str(error.value)
