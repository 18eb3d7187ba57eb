"""What stands below the title of every page: cohort, outcomes, method, date and version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcat_core import __version__
from hcat_core.cohort import Layout, Task
from hcat_core.report.formatting import counted, listed
from hcat_core.report.inputs import ReportInputs


@dataclass(frozen=True)
class PageFacts:
    """What a page is about.

    Attributes:
        cohort: its name.
        patients: how many it has.
        layout: of the cohort.
        method: what was fitted; empty where that is the subject of the page.
        date: in words.
    """

    cohort: str
    patients: int
    layout: Layout
    method: str
    date: str

    @classmethod
    def of_run(cls, inputs: ReportInputs) -> PageFacts:
        """The facts of a run."""
        summary, cohort = inputs.summary, inputs.cohort
        name = cohort_name(summary.recipe)
        return cls(name, len(cohort), cohort.layout, summary.run.estimator, inputs.date)

    def pairs(self) -> list[tuple[str, str]]:
        """Names and texts, in the order of the page."""
        tasks = self.layout.tasks
        facts = [
            ("cohort", f"{self.cohort}, {counted(self.patients, 'patient')}"),
            (
                "outcome" if len(tasks) == 1 else "outcomes",
                listed([outcome_in_words(task) for task in tasks]),
            ),
            ("method", self.method),
            ("date", self.date),
            ("hcat", __version__),
        ]
        return [(name, text) for name, text in facts if text]

    def subjects(self) -> dict[str, str]:
        """By task, what a verdict on it is about: ``Death within 5 years (survival)``."""
        words = {task.name: outcome_in_words(task) for task in self.layout.tasks}
        return {
            name: f"{text[:1].upper()}{text[1:]}{'' if text == name else f' ({name})'}"
            for name, text in words.items()
        }


def cohort_name(recipe: Mapping[str, Any]) -> str:
    """The last two folders of the cohort's path; a cohort without files was given in Python.

    Args:
        recipe: resolved, as plain values.
    """
    cohort = recipe["cohort"]
    if not any("path" in table for table in cohort.get("modalities", {}).values()):
        return "given in Python"
    return "/".join(Path(cohort["root"]).parts[-2:])


def outcome_in_words(task: Task) -> str:
    """What happens, and within what time: ``death within 5 years``."""
    return f"{task.outcome}{_span(task.horizon_days)}"


def _span(days: float | None) -> str:
    """A horizon in words: years where it is whole years, else days; nothing for a task without one."""
    if days is None:
        return ""
    years = round(days / 365.25)
    whole = years > 0 and abs(days - years * 365.25) <= 2
    return f" within {counted(years, 'year')}" if whole else f" within {days:g} days"
