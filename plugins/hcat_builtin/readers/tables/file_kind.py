"""What a file is, by its first bytes: names lie, and a workbook called ``.csv`` is no text."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from pathlib import Path
from typing import Literal

from hcat_builtin.readers.plain_file import require_plain_file
from hcat_builtin.readers.tables.unpacking import GZIP, open_bytes
from hcat_core.errors import DataError

Kind = Literal["text", "parquet"]

_SHEET = "Save the sheet as CSV UTF-8 (comma delimited)."
_WRITE_CSV = "Write the table as CSV or Parquet with the program that made it."
_PANDAS = "In Python: pandas.{}(FILE).to_csv(NEW, index=False)."
_IN_R = "In R: write.csv(TABLE, FILE, row.names = FALSE)."
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls) or another Office file", _SHEET),
    (b"BZh91AY&SY", "compressed by bzip2", "Unpack it, or compress it by gzip."),
    (b"\xfd7zXZ\x00", "compressed by xz", "Unpack it, or compress it by gzip."),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "Unpack it, or compress it by gzip."),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it."),
    (b"Rar!", "a RAR archive", "Unpack it."),
    (b"FEA1\0\0", "a Feather file", _PANDAS.format("read_feather")),
    (b"ARROW1\0\0", "an Arrow or Feather file", _PANDAS.format("read_feather")),
    (b"Obj\x01", "an Avro file", _WRITE_CSV),
    (b"<stata_dta>", "a Stata file", _PANDAS.format("read_stata")),
    (b"$FL2@(#)", "an SPSS file", _PANDAS.format("read_spss")),
    (b"$FL3@(#)", "an SPSS file", _PANDAS.format("read_spss")),
    (b"HEADER RECORD*******", "a SAS transport file", _PANDAS.format("read_sas")),
    (
        b"\0\0\0\0\0\0\0\0\0\0\0\0\xc2\xea\x81\x60\xb3\x14\x11\xcf",
        "a SAS file",
        _PANDAS.format("read_sas"),
    ),
    (b"RDX2\n", "a file of R (.RData)", _IN_R),
    (b"RDX3\n", "a file of R (.RData)", _IN_R),
    (b"RDA2\n", "a file of R (.RData)", _IN_R),
    (b"RDA3\n", "a file of R (.RData)", _IN_R),
    (b"X\n\x00\x00\x00", "a file of R (.rds)", _IN_R),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", 'Read it by use = "h5" or use = "h5ad".'),
    (b"SQLite format 3\x00", "an SQLite database", _WRITE_CSV),
    (b"\x93NUMPY", "a NumPy array", _WRITE_CSV),
    (b"%PDF", "a PDF", "Ask for the table itself."),
    (b"{\\rtf", "a document (RTF)", "Save it as plain text."),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "Fetch it: git lfs pull."),
    (b"\xff\xfe\x00\x00", "text in UTF-32", "Save it as UTF-8."),
    (b"\x00\x00\xfe\xff", "text in UTF-32", "Save it as UTF-8."),
)
_STATA_OLD = re.compile(rb"[\x68-\x73][\x01\x02]\x01\x00")  # versions 104 to 115
_HTML = re.compile(rb"\s*<(?:!doctype html|html|head|body|table)\b", re.IGNORECASE)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\b")
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{\s*[\"}]|\[\s*[\[{\"])")
_IN_ARCHIVES = (
    ("xl/", "an Excel workbook", _SHEET),
    ("word/", "a Word document", "Save its table as CSV UTF-8."),
    ("content.xml", "an OpenDocument sheet (.ods)", _SHEET),
    ("Index/", "a Numbers document", "Export it as CSV, UTF-8."),
)


def kind_of_file(path: Path) -> Kind:
    """Whether a file is a text table (packed by gzip or not) or Parquet.

    Raises:
        DataError: for everything else, in one sentence: what the file is, and how to save it.
    """
    require_plain_file(path, "a table")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from None
    if path.suffix.lower() in (".parquet", ".pq") or start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        what, remedy = _in_archive(path)
        raise DataError(f"{path}: is {what}. {remedy}")
    _refuse_other(path, start)
    if start.startswith(GZIP):
        _refuse_other(path, _first_unpacked(path))
    return "text"


def _refuse_other(path: Path, start: bytes) -> None:
    for signature, what, remedy in _SIGNATURES:
        if start.startswith(signature):
            raise DataError(f"{path}: is {what}. {remedy}")
    if _STATA_OLD.match(start):
        raise DataError(f"{path}: is a Stata file. {_PANDAS.format('read_stata')}")
    if _HTML.match(start):
        raise DataError(f"{path}: is a web page (HTML). Was it downloaded without being logged in?")
    if _XML.match(start):
        raise DataError(f"{path}: is XML. Save it as CSV UTF-8.")
    if _JSON.match(start):
        raise DataError(f"{path}: is JSON. {_WRITE_CSV}")


def _first_unpacked(path: Path) -> bytes:
    try:
        with open_bytes(path) as file:
            return file.read(512)
    except (OSError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: cannot be unpacked by gzip: {error}. Is the file whole?") from None


def _in_archive(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:10_000]
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return (
            "a ZIP archive or an Office file that is not whole",
            "Copy it again, and save it as CSV UTF-8.",
        )
    for place, what, remedy in _IN_ARCHIVES:
        if any(name.startswith(place) for name in names):
            return what, remedy
    return "a ZIP archive", "Unpack it."
