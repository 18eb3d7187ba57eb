"""A recipe as text, with comments that say why each line is as it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import tomli_w

from hcat_core.text.quoting import one_line

COMMENT_AT = 40  # column of a comment behind a value
WIDEST = 108


@dataclass(frozen=True)
class Noted:
    """One entry of a list, with what is said of it."""

    value: str
    note: str


@dataclass(frozen=True)
class Line:
    """A key with its value: of a list of ``Noted`` a line for each entry, without ``active`` a comment."""

    key: str
    value: object
    note: str = ""
    active: bool = True


@dataclass(frozen=True)
class TableText:
    """A table of a recipe; the top of the recipe has no name."""

    name: str
    lines: Sequence[Line]


def render(title: Sequence[str], tables: Iterable[TableText]) -> str:
    """The text of a recipe.

    Args:
        title: sentences of the comment at its top.
        tables: in their order.
    """
    blocks = ["\n".join(text for sentence in title for text in comment(sentence))]
    for table in tables:
        lines = [f"[{table.name}]"] if table.name else []
        lines += [text for line in table.lines for text in _lines(line)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def comment(text: str) -> list[str]:
    """A text as lines of a comment."""
    return [f"# {line}" for line in textwrap.wrap(one_line(text), WIDEST - 2, break_long_words=False)]


def toml_value(value: object) -> str:
    """A value as TOML, in one line."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {toml_value(one)}" for key, one in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return tomli_w.dumps({"v": value}).partition("=")[2].strip()


def _lines(line: Line) -> list[str]:
    hidden = "" if line.active else "# "
    whole = f"{hidden}{line.key} = {toml_value(line.value)}" if not _is_noted(line.value) else ""
    if whole and len(_with_note(whole, line.note)) <= WIDEST:
        return [_with_note(whole, line.note)]
    above = comment(line.note) if line.note else []
    if whole and (len(whole) <= WIDEST or not isinstance(line.value, list | tuple)):
        return [*above, whole]
    assert isinstance(line.value, list | tuple)
    return [*above, f"{hidden}{line.key} = [", *(hidden + _entry(one) for one in line.value), f"{hidden}]"]


def _is_noted(value: object) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(one, Noted) for one in value)


def _entry(entry: object) -> str:
    value, note = (entry.value, entry.note) if isinstance(entry, Noted) else (entry, "")
    return _with_note(f"    {toml_value(value)},", note)


def _with_note(text: str, note: str) -> str:
    return f"{text:<{COMMENT_AT - 1}} # {one_line(note)}" if note else text
