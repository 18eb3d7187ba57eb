"""Files that are no tables, under the names that people give them: one sentence each."""

import bz2
import gzip
import io
import lzma
import zipfile

import pandas as pd
import pytest

from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.errors import DataError


def archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name), "x")  # of a fixed date
    return buffer.getvalue()


def written(method, **arguments):
    buffer = io.BytesIO()
    getattr(pd.DataFrame({"pid": ["p"], "a": [1]}), method)(buffer, **arguments)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx", "t.tsv", "t"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            archive("[Content_Types].xml", "xl/workbook.xml"),
            "is an Excel workbook. Save the sheet as CSV UTF-8",
        ),
        (
            archive("mimetype", "content.xml"),
            "is an OpenDocument sheet (.ods). Save the sheet as CSV UTF-8",
        ),
        (archive("word/document.xml"), "is a Word document"),
        (archive("clinical.csv"), "is a ZIP archive. Unpack it."),
        (archive("xl/workbook.xml")[:40], "is a ZIP archive or an Office file that is not whole"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is an Excel workbook (.xls)"),
        (bz2.compress(b"pid,a\np,1\n"), "is compressed by bzip2. Unpack it"),
        (lzma.compress(b"pid,a\np,1\n"), "is compressed by xz"),
        (b"\x28\xb5\x2f\xfd" + bytes(20), "is compressed by zstd"),
        (written("to_stata", write_index=False), "is a Stata file. In Python: pandas.read_stata"),
        (written("to_stata", write_index=False, version=118), "is a Stata file"),
        (b"$FL2@(#) SPSS DATA FILE", "is an SPSS file. In Python: pandas.read_spss"),
        (b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!", "is a SAS transport file"),
        (b"RDX3\nX\n\0\0\0\3", "is a file of R (.RData)"),
        (gzip.compress(b"RDX3\nX\n\0\0\0\3", mtime=0), "is a file of R (.RData)"),
        (gzip.compress(b"X\n\0\0\0\3\0\4", mtime=0), "is a file of R (.rds). In R: write.csv("),
        (b"\x89HDF\r\n\x1a\n", 'is an HDF5 file. Read it by use = "h5"'),
        (
            b"\n<!DOCTYPE html><html><body>Log in",
            "is a web page (HTML). Was it downloaded without being logged in",
        ),
        (b'<?xml version="1.0"?>', "is XML"),
        (b'[{"pid": "p", "a": 1}]', "is JSON"),
        (b'{"pid": ["p"]}', "is JSON"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "is a pointer of Git LFS, not the file itself",
        ),
        (b"%PDF-1.7", "is a PDF"),
        ("pid,a\np,1\n".encode("utf-32"), "is text in UTF-32"),
        (b"\x93NUMPY\1\0", "is a NumPy array"),
        (b"SQLite format 3\0", "is an SQLite database"),
    ],
)
def test_a_file_of_another_kind_is_named_whatever_it_is_called(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    for read in (lambda r: list(r.read()), lambda r: r.read_columns(["a"]), lambda r: r.describe()):
        with pytest.raises(DataError) as error:
            read(TableReader(path=tmp_path / name))
        assert str(error.value).startswith(f"{tmp_path / name}: {says}")


def test_feather_is_named(tmp_path):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"pid": ["p"], "a": [1]}).to_feather(tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"is an Arrow or Feather file. In Python: pandas.read_feather"):
        TableReader(path=tmp_path / "t.csv").describe()


def test_parquet_is_known_by_its_first_bytes(tmp_path):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"pid": ["p"], "a": [1]}).to_parquet(tmp_path / "t.csv")
    assert TableReader(path=tmp_path / "t.csv").describe() == "Parquet: ids in pid, one of 2 columns"
    (tmp_path / "t.parquet").write_text("pid,a\np,1\n")
    with pytest.raises(DataError, match=r"t\.parquet: cannot be read as Parquet"):
        TableReader(path=tmp_path / "t.parquet").describe()


@pytest.mark.parametrize(
    "header", ["PK,pid", "ORC1,pid", "BZh,pid", "RDX2,pid", "[1],pid", "<a>,pid", "A,pid"]
)
def test_a_table_whose_first_name_looks_like_a_signature_is_a_table(tmp_path, header):
    (tmp_path / "t.csv").write_text(f"{header}\n1,p\n")
    assert "ids in pid" in TableReader(path=tmp_path / "t.csv").describe()


def test_a_folder_or_a_file_without_permission_is_named(tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        TableReader(path=tmp_path / "t.csv").describe()
