"""The one rule for names that a recipe gives: they become names of files, columns and settings."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hcat_core.errors import Problem
from hcat_core.text.quoting import name_in_quotes, shown

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
RULE = "a name has 1 to 64 of the letters a-z and A-Z, digits, _ and -, and begins with a letter or digit"
AVERAGE = "average"  # of all tasks, in the names of checkpoints and scores
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}


def check_name(name: str, key: str) -> list[Problem]:
    """What is wrong with a name, if anything; ``key`` is where the recipe has it."""
    if not NAME.fullmatch(name):
        return [Problem(key, f"{name_in_quotes(name)} cannot be used: {RULE}")]
    if name.upper() in DEVICES:
        return [Problem(key, f"{shown(name)} cannot be used: it is a device of Windows, no file's name")]
    return []


def check_names(names: Iterable[str], key: str) -> list[Problem]:
    """``check_name`` for the keys of one table, which must differ by more than capitals."""
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for name in names:
        problems += check_name(name, key)
        other = seen.setdefault(name.lower(), name)
        if other != name:
            said = (
                f"{shown(other)} and {shown(name)} differ in capitals alone, which many file systems ignore"
            )
            problems.append(Problem(key, said))
    return problems
