"""The errors a user can cause, each with the exit code of the command line.

A message says what is wrong, where (file, dataset, patient row, recipe key) and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from hcat_core.text.quoting import one_line


class HcatError(Exception):
    """An error with a message for the user; the command line shows it without a traceback."""

    exit_code = 1


class UsageError(HcatError):
    """A command line, recipe or set of plugins that cannot be used (exit code 2)."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe: the dotted key, and what is wrong and how to correct it."""

    key: str
    message: str


class RecipeError(UsageError):
    """Every problem of a recipe at once (exit code 2)."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        rows = [(one_line(p.key), one_line(p.message)) for p in problems]
        width = max(len(key) for key, _ in rows)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"  {key:<{width}}  {message}" for key, message in rows]
        super().__init__("\n".join([f"{source}: {count}", *lines]))


class DataError(HcatError):
    """Input files that cannot be read as a cohort (exit code 3)."""

    exit_code = 3


class TrainingError(HcatError):
    """A training that cannot continue (exit code 4)."""

    exit_code = 4


class StorageError(HcatError):
    """A disk that is full, or a place that is not writable (exit code 4)."""

    exit_code = 4
