"""What stands below the title of every page: cohort, outcomes, method, date and version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcat_core import __version__
from hcat_core.cohort import Layout, Outcome, Task
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
        outcomes = self.layout.outcomes
        facts = [
            ("cohort", f"{self.cohort}, {counted(self.patients, 'patient')}"),
            (
                "outcome" if len(outcomes) == 1 else "outcomes",
                listed([outcome_in_words(self.layout, outcome) for outcome in outcomes]),
            ),
            ("method", self.method),
            ("date", self.date),
            ("hcat", __version__),
        ]
        return [(name, text) for name, text in facts if text]

    def subjects(self) -> dict[str, str]:
        """By outcome, what a verdict on it is about: ``Death within 5 years (survival)``."""
        words = {outcome.name: outcome_in_words(self.layout, outcome) for outcome in self.layout.outcomes}
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


def outcome_in_words(layout: Layout, outcome: Outcome) -> str:
    """An event and its time, an outcome with its classes, or a number with its unit.

    ``death within 5 years``, ``subtype (LUAD or LUSC)``, ``age in years``.
    """
    first = layout.tasks[outcome.columns[0]]
    if outcome.kind == "event":
        return event_in_words(first)
    if outcome.kind == "class":
        names = [layout.tasks[column].class_name for column in outcome.columns]
        return f"{outcome.name} ({listed(names, 'or')})"
    return f"{outcome.name}{f' in {first.unit}' if first.unit else ''}"


def event_in_words(task: Task) -> str:
    """What happens, and within what time: ``death within 5 years``."""
    return f"{task.outcome}{_span(task.horizon_days)}"


def _span(days: float | None) -> str:
    """A horizon in words: years where it is whole years, else days; nothing for a task without one."""
    if days is None:
        return ""
    years = round(days / 365.25)
    whole = years > 0 and abs(days - years * 365.25) <= 2
    return f" within {counted(years, 'year')}" if whole else f" within {days:g} days"
