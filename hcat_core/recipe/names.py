"""The rule for names of modalities, tasks and heads, which become names of files and columns."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hcat_core.errors import Problem
from hcat_core.text.quoting import name_in_quotes, shown

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
RULE = "a name has 1 to 64 of the letters a-z and A-Z, digits, _ and -, and begins with a letter or digit"
AVERAGE = "average"  # of all tasks, in the names of checkpoints and scores


def check_name(name: str, key: str) -> list[Problem]:
    """The problem with a name at ``key`` of the recipe, if there is one."""
    if not NAME.fullmatch(name):
        return [Problem(key, f"{name_in_quotes(name)} cannot be used: {RULE}")]
    return []


def check_names(names: Iterable[str], key: str) -> list[Problem]:
    """``check_name`` for the keys of one table, which must differ by more than capitals."""
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for name in names:
        problems += check_name(name, key)
        other = seen.setdefault(name.lower(), name)
        if other != name:
            message = (
                f"{shown(other)} and {shown(name)} differ only in capitals, which many file systems ignore"
            )
            problems.append(Problem(key, message))
    return problems
