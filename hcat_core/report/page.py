"""The HTML report: one page, its sections in the order of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hcat_core import __version__
from hcat_core.cohort import Task
from hcat_core.data.splits import SPLITS
from hcat_core.evaluation.analysis import ModalityAnalysis
from hcat_core.report import cohort_figures, performance_figures
from hcat_core.report.inputs import ReportInputs
from hcat_core.report.risk_groups import RiskGroups, risk_groups
from hcat_core.report.tripod import tripod_items
from hcat_core.report.words import interval, number, summary_in_words
from hcat_core.storage.checkpoint import write_text
from hcat_core.text.quoting import printable

SUBSETS_SHOWN = 31
FACTS = ("hcat", "python", "platform", "device", "threads", "data")


@dataclass(frozen=True)
class TaskFigures:
    """Figures of one task's test patients as SVG; None where they have a single known outcome."""

    task: Task
    roc: str | None
    precision_recall: str | None
    calibration: str | None
    decision: str | None
    risk: RiskGroups | None


def write_report(path: Path, inputs: ReportInputs) -> None:
    """Render the page and write the file atomically.

    The page has no patient ids and no scripts, and loads nothing.
    """
    write_text(path, render(inputs))


def render(inputs: ReportInputs) -> str:
    """Render the page as HTML."""
    environment = Environment(
        loader=PackageLoader("hcat_core.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_visible,
    )  # fmt: skip
    environment.filters["number"] = number
    environment.filters["interval"] = interval
    cohort, summary = inputs.cohort, inputs.summary
    analysis = summary.analysis
    return environment.get_template("page.html.j2").render(
        title=inputs.title,
        version=__version__,
        recipe=inputs.recipe,
        sentences=summary_in_words(inputs),
        layout=cohort.layout,
        data=summary.data,
        run=summary.run,
        metrics=summary.metrics,
        sides=[side for side in SPLITS if any(m.patients for m in summary.metrics[side].values())],
        environment=_facts(summary.environment),
        presence=cohort_figures.presence_figure(cohort),
        patterns=cohort_figures.patterns_figure(cohort),
        learning=cohort_figures.learning_figures(summary.history),
        tasks=[_task_figures(inputs, column) for column in range(len(cohort.layout.tasks))],
        analysis=analysis,
        subsets=[] if analysis.modalities is None else analysis.modalities.subsets[:SUBSETS_SHOWN],
        importance=[] if analysis.modalities is None else _importance(analysis.modalities),
        tripod=tripod_items(inputs),
    )


def _visible(value: object) -> object:
    """Spell out invisible characters in names: a mark of direction would reorder the text around it."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _task_figures(inputs: ReportInputs, column: int) -> TaskFigures:
    task = inputs.cohort.layout.tasks[column]
    risk = risk_groups(inputs, column)
    p, y, weights = inputs.known_test_outcomes(column)
    if not 0 < y.sum() < len(y):
        return TaskFigures(task, None, None, None, None, risk)
    figure = f"task{column}"
    return TaskFigures(
        task,
        performance_figures.roc_figure(figure, task.name, p, y),
        performance_figures.precision_recall_figure(figure, task.name, p, y),
        performance_figures.calibration_figure(figure, task.name, p, y, weights),
        performance_figures.decision_figure(figure, task.name, p, y, weights),
        risk,
    )


def _importance(modalities: ModalityAnalysis) -> list[str]:
    """Figures of Shapley values and of leaving one modality out, where there are any."""
    bars = (
        ("shapley", "Mean absolute Shapley value", modalities.shapley, "change of the probability"),
        ("leave-one-out", "Loss when it is hidden", modalities.leave_one_out, "fall of the AUC"),
    )
    return [
        cohort_figures.bars_figure(name, title, values, label)
        for name, title, values, label in bars
        if any(values.values())
    ]


def _facts(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the environment, for a table."""
    rows = [(key, environment[key]) for key in FACTS]
    rows += list(environment.get("libraries", {}).items())
    plugins = [f"{p['entry_point']} ({p['distribution']} {p['version']})" for p in environment["plugins"]]
    rows.append(("plugins", ", ".join(plugins)))
    return [(key, str(value)) for key, value in rows]
