"""Whether the numbers of a text table have decimal points or decimal commas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hcat_core.errors import DataError

_BEFORE, _AFTER = r'(?:^|[;\t"])[ ]*[+-]?', r'(?:[eE][+-]?[0-9]+)?[ ]*(?=[;\t"\n]|\Z)'


def _numbers_with(mark: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Any number with one mark; one whose mark cannot stand between thousands."""
    plain = f"[0-9]*{mark}[0-9]+"
    certain = f"(?:(?:[0-9]{{4,}}|0[0-9]*|){mark}[0-9]+|[0-9]+{mark}(?:[0-9]{{1,2}}|[0-9]{{4,}}))"
    return (
        re.compile(f"{_BEFORE}{plain}{_AFTER}", re.MULTILINE),
        re.compile(f"{_BEFORE}{certain}{_AFTER}", re.MULTILINE),
    )


_COMMA, _CERTAIN_COMMA = _numbers_with(",")
_POINT, _CERTAIN_POINT = _numbers_with(r"\.")


@dataclass
class MarksSeen:
    """The marks in the numbers of a table that is separated by semicolons or tabs.

    ``1,5`` or ``0,125`` can only have a decimal comma; ``1,234`` could be more than a thousand.
    """

    comma: bool = False
    certain_comma: bool = False
    point: bool = False
    certain_point: bool = False

    def look(self, text: str) -> None:
        """Take in some whole lines."""
        if not self.certain_comma and "," in text:
            self.certain_comma = _CERTAIN_COMMA.search(text) is not None
            self.comma = self.comma or self.certain_comma or _COMMA.search(text) is not None
        if not self.certain_point and "." in text:
            self.certain_point = _CERTAIN_POINT.search(text) is not None
            self.point = self.point or self.certain_point or _POINT.search(text) is not None


def decimal_mark(seen: MarksSeen, path: Path) -> str:
    """The decimal mark of a table, from all of its numbers.

    Raises:
        DataError: where numbers have both marks, or commas that could stand between thousands.
    """
    if seen.comma and seen.point:
        raise DataError(
            f"{path}: has numbers with commas (1,5) and numbers with points (1.5). Write them one way, or "
            'say which is the decimal mark: decimal = "." or decimal = ",".'
        )
    if seen.comma and not seen.certain_comma:
        raise DataError(
            f"{path}: has numbers such as 1,234, which can be 1.234 or more than a thousand. Say which: "
            'decimal = "," for decimal commas; without commas between thousands otherwise.'
        )
    return "," if seen.comma else "."


def doubtful_points(seen: MarksSeen, path: Path) -> str | None:
    """A finding where all numbers with points, in a table separated by semicolons, look like thousands."""
    if not seen.point or seen.certain_point or seen.comma:
        return None
    return (
        f"{path.name}: numbers such as 1.234 are read with a decimal point. If the points stand between "
        "thousands, write the numbers without them."
    )
