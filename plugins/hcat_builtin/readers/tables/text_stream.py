"""A text file's characters: UTF-8, or UTF-16 with its mark, packed by gzip or not."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hcat_builtin.readers.tables.unpacking import open_bytes
from hcat_core.errors import DataError

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def open_text(path: Path, skipped: int = 0) -> Iterator[TextIO]:
    """Open a text file, behind its first lines; every kind of line end becomes a line feed.

    Args:
        path: the file.
        skipped: how many lines to leave out.

    Raises:
        DataError: for a file that cannot be read or unpacked, and at the first byte that is no text.
    """
    try:
        with open_bytes(path) as file:
            encoding = "utf-16" if file.peek(2)[:2] in _UTF_16 else "utf-8-sig"
            with io.TextIOWrapper(file, encoding=encoding) as stream:
                for _ in range(skipped):
                    stream.readline()
                yield stream
    except UnicodeDecodeError as error:
        raise DataError(_not_text(path, error)) from None
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be unpacked by gzip: {error}. Is the file whole?") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from None


def _not_text(path: Path, error: UnicodeDecodeError) -> str:
    if error.encoding.startswith("utf-16"):
        return (
            f"{path}: begins as UTF-16 and holds bytes that are not. Is the file whole? Save it as UTF-8."
        )
    byte = error.object[error.start]
    return (
        f"{path}: {_line_of_bad_byte(path)} holds the byte 0x{byte:02x}, which is not UTF-8: the file is "
        'in another encoding, such as Latin-1 (in Excel "ANSI", Windows-1252), or damaged. '
        "Save it as CSV UTF-8."
    )


def _line_of_bad_byte(path: Path) -> str:
    """The line, as those are counted that end in a line feed; only for a message."""
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return f"line {number}"
    return "it"
