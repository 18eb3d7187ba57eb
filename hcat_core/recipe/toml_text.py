"""One TOML file -> a plain dictionary, or what is wrong with it in a user's words."""

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

# What the parser says -> what its user did; the rest is passed on as it is.
IN_WORDS = (
    (r"Illegal character '\\n'", "a text is not closed: a quote is missing"),
    (r"Unterminated string", "a text is not closed: a quote is missing"),
    (r"Invalid value", "this is no value (a text needs quotes; true and false have small letters)"),
    (r"Unescaped '\\' in a string", r"a \ in a text: write paths with / or in single quotes"),
    (r"Invalid hex value", r"a \ in a text: write paths with / or in single quotes"),
    (r"Cannot overwrite a value", "this key is given twice"),
    (r"Cannot declare \((.*)\) twice", "the table [{}] is given twice"),
    (r"Cannot mutate immutable namespace \((.*)\)", "the table [{}] is complete where it is first given"),
    (r"Expected '=' after a key in a key/value pair", "expected KEY = VALUE"),
    (r"Invalid statement", "expected KEY = VALUE or [TABLE]"),
    (r"Expected newline or end of document after a statement", "something is left over after the value"),
    (r"Expected '\]' at the end of a table declaration", "a table's name is not closed: ] is missing"),
    (r"Invalid initial character for a key part", "expected a key (a table in { } stays on one line)"),
    (r"Unclosed array", "a list is not closed: ] or a comma is missing"),
    (r"Unclosed inline table", "a table is not closed: } or a comma is missing"),
)


def read_toml(path: Path) -> Tree | Problem:
    """The file's tables.

    Raises:
        FileNotFoundError: when there is none.
    """
    try:
        if path.is_dir():
            return Problem("file", f"{path} is a folder; name the recipe in it")
        if path.exists() and not path.is_file():
            return Problem("file", f"{path} is no ordinary file")
        if path.stat().st_size > MOST_BYTES:
            return Problem("file", f"{path} has {path.stat().st_size} bytes: that is no recipe")
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except ValueError:
        raise FileNotFoundError(path) from None  # a null in its name
    except OSError as error:
        return Problem("file", f"cannot be read: {error.strerror}")
    try:
        text = data.decode("utf-8-sig")  # Windows editors put a mark in front
    except UnicodeDecodeError as error:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return Problem("file", "is UTF-16 text; save it as UTF-8")
        line = data[: error.start].count(b"\n") + 1
        return Problem("file", f"line {line} is not UTF-8 text; save the file as UTF-8")
    return parse_toml(text)


def parse_toml(text: str) -> Tree | Problem:
    """The text's tables."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Problem("toml", _in_words(str(error), text))
    except ValueError:
        return Problem("toml", "a number has thousands of digits")
    except RecursionError:
        return Problem("toml", f"tables or lists are more than {DEEPEST} deep in each other")
    if _is_too_deep(tree):
        return Problem("toml", f"tables or lists are more than {DEEPEST} deep in each other")
    return tree


def _in_words(said: str, text: str) -> str:
    """``line 3, column 7: a text is not closed: a quote is missing: use = "mean``."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", said, re.DOTALL)
    if found is None:
        return one_line(said)
    what, line, column = found.groups()
    if line is None:
        return "the file ends too early: a value, a quote or a bracket is missing"
    for pattern, words in IN_WORDS:
        match = re.fullmatch(pattern, what)
        if match is not None:
            names = re.findall(r"'([^']*)'", match.group(1)) if match.groups() else []
            what = words.format(".".join(names)) if "{}" in words else words
            break
    lines = text.replace("\r\n", "\n").split("\n")
    shown = one_line(lines[int(line) - 1].strip()) if int(line) <= len(lines) else ""
    if len(shown) > MOST_OF_A_LINE:
        shown = shown[:MOST_OF_A_LINE] + "..."
    return f"line {line}, column {column}: {one_line(what)}" + (f": {shown}" if shown else "")


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
