"""Read one TOML file into a plain dictionary, or report what is wrong with it."""

from __future__ import annotations

import re
import tomllib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hcat_core.errors import Problem
from hcat_core.text.quoting import one_line

Tree = dict[str, Any]
MOST_BYTES = 1 << 20
DEEPEST = 32  # tables and lists inside each other
MOST_OF_A_LINE = 50


def read_toml(path: Path) -> Tree | Problem:
    """Read the tables of a file.

    Raises:
        FileNotFoundError: when the file does not exist.
    """
    try:
        if path.is_dir():
            return Problem("file", f"{path} is a folder; name the recipe in it")
        if path.exists() and not path.is_file():
            return Problem("file", f"{path} is not a regular file")
        if path.stat().st_size > MOST_BYTES:
            return Problem(
                "file", f"{path} has {path.stat().st_size} bytes, which is too large for a recipe"
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except ValueError:
        raise FileNotFoundError(path) from None  # its name contains a null character
    except OSError as error:
        return Problem("file", f"cannot be read: {error.strerror}")
    try:
        text = data.decode("utf-8-sig")  # some Windows editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return Problem("file", "is UTF-16 text; save it as UTF-8")
        line = data[: error.start].count(b"\n") + 1
        return Problem("file", f"line {line} is not UTF-8 text; save the file as UTF-8")
    return parse_toml(text)


def parse_toml(text: str) -> Tree | Problem:
    """Parse the tables of a TOML text."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Problem("toml", _with_line(str(error), text))
    except ValueError:
        return Problem("toml", "a number has thousands of digits")
    except RecursionError:
        return Problem("toml", f"tables or lists are nested more than {DEEPEST} deep")
    if _is_too_deep(tree):
        return Problem("toml", f"tables or lists are nested more than {DEEPEST} deep")
    return tree


def _with_line(message: str, text: str) -> str:
    """The parser's message in one line, with the line of the file that it is about."""
    match = re.search(r" \(at line (\d+), column \d+\)$", message)
    lines = text.replace("\r\n", "\n").split("\n")
    line = lines[int(match[1]) - 1].strip() if match and int(match[1]) <= len(lines) else ""
    return one_line(message) + (f": {one_line(line, MOST_OF_A_LINE)}" if line else "")


def values_in(tree: Tree) -> Iterator[tuple[str, int, object]]:
    """Every value in a tree, outer ones first: its dotted key, how deep it is (1 at the top), the value."""
    waiting: deque[tuple[str, int, object]] = deque((key, 1, value) for key, value in tree.items())
    while waiting:
        key, depth, value = waiting.popleft()
        yield key, depth, value
        if isinstance(value, dict):
            waiting.extend((f"{key}.{name}", depth + 1, inner) for name, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((f"{key}.{place}", depth + 1, inner) for place, inner in enumerate(value))


def _is_too_deep(tree: Tree) -> bool:
    return any(depth > DEEPEST and isinstance(value, dict | list) for _, depth, value in values_in(tree))
