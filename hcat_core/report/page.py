"""The HTML report: one page, its sections in the order of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hcat_core import __version__
from hcat_core.cohort import Layout
from hcat_core.data.missingness_patterns import count_patterns
from hcat_core.data.splits import SPLITS
from hcat_core.report import captions, cohort_figures, data_checks, method, outcomes, part_captions
from hcat_core.report.formatting import interval, listed, number
from hcat_core.report.inputs import ReportInputs, few
from hcat_core.report.other_outcomes import other_sections
from hcat_core.report.task_figures import task_figures
from hcat_core.report.tripod import tripod_items
from hcat_core.report.verdict_figure import auc_figure
from hcat_core.report.words import purpose, summary_in_words
from hcat_core.storage.checkpoint import write_text
from hcat_core.text.quoting import printable

SUBSETS_SHOWN = 31
FACTS = ("hcat", "python", "platform", "device", "threads", "data")


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
    environment.filters |= {"number": number, "interval": interval, "listed": listed}
    environment.tests["few"] = few
    cohort, summary = inputs.cohort, inputs.summary
    analysis = summary.analysis
    tasks = [task_figures(inputs, column) for column in cohort.layout.event_columns]
    return environment.get_template("page.html.j2").render(
        title=inputs.title,
        version=__version__,
        recipe=inputs.recipe,
        inputs=inputs,
        purpose=purpose(inputs),
        verdicts=summary.verdicts,
        verdict_figure=auc_figure(summary.metrics["test"], analysis.baselines or {}),
        sentences=summary_in_words(inputs),
        layout=_of_events(cohort.layout),
        others=other_sections(inputs),
        data=summary.data,
        run=summary.run,
        metrics=summary.metrics,
        sides=[side for side in SPLITS if any(m.patients for m in summary.metrics[side].values())],
        environment=_facts(summary.environment),
        presence=cohort_figures.presence_figure(cohort),
        patterns=cohort_figures.patterns_figure(cohort),
        patterns_caption=_patterns_caption(inputs),
        learning=cohort_figures.learning_figures(summary.history),
        tasks=tasks,
        timed=any(m.c_index is not None for side in summary.metrics.values() for m in side.values()),
        unmeasured=[one.task.name for one in tasks if one.none],
        analysis=analysis,
        subsets=[] if analysis.modalities is None else analysis.modalities.subsets[:SUBSETS_SHOWN],
        importance=_importance(inputs),
        tripod=tripod_items(inputs, tasks),
        captions=captions,
        method=method,
        outcomes=outcomes,
        data_checks=data_checks,
        part_captions=part_captions,
    )


def _visible(value: object) -> object:
    """Spell out invisible characters in names: a mark of direction would reorder the text around it."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _of_events(layout: Layout) -> Layout:
    """The layout with its events alone: other outcomes have sections of their own."""
    return replace(layout, tasks=tuple(layout.tasks[column] for column in layout.event_columns))


def _patterns_caption(inputs: ReportInputs) -> str:
    """What the figure of missingness patterns shows."""
    cohort = inputs.cohort
    there, shown = len(count_patterns(cohort.present)), cohort_figures.MOST_PATTERNS
    text = (
        "All missingness patterns."
        if there <= shown
        else f"The {shown} most frequent of {there} missingness patterns."
    )
    text += " A filled square is a modality that these patients have."
    return text if bool(cohort.present.all()) else f"{text} {method.missing_modalities(inputs)}"


def _importance(inputs: ReportInputs) -> list[tuple[str, str]]:
    """Figures, with captions, of Shapley values and of leaving one modality out, where there are any.

    The fall of an AUC needs ten patients of either outcome.
    """
    modalities = inputs.summary.analysis.modalities
    if modalities is None:
        return []
    test = inputs.summary.metrics["test"]
    others, numbers = inputs.summary.others.get("test", {}), _numbers(inputs)
    enough = {outcome for outcome, one in others.items() if not one.few}
    enough |= {task for task, one in test.items() if not few(one)}
    falls = {outcome: by for outcome, by in modalities.leave_one_out.items() if outcome in enough}
    moved, moved_numbers = _divided(modalities.shapley, numbers)
    falls_of_auc, falls_of_r2 = _divided(falls, numbers)
    bars = (
        ("shapley", "Mean absolute Shapley value", moved, "change of the probability",
         "The Shapley value is the change of a patient's predicted probability that is due to a modality. "
         "Shown is its mean size over the test patients who have the modality, computed exactly over all "
         "subsets of modalities. " + _of_classes(inputs) + captions.drawn_patients(inputs)),
        ("leave-one-out", "Loss when it is hidden", falls_of_auc, "fall of the AUC",
         "How much the AUC of test patients falls when the modality is hidden from all of them; below 0, "
         "it rose. "
         + outcomes.weighting(inputs)),
        ("shapley-numbers", "Mean absolute Shapley value", moved_numbers, "change of the value",
         "The same of predicted numbers: the change of a patient's predicted value that is due to a "
         "modality, in the unit of the value."),
        ("leave-one-out-numbers", "Loss when it is hidden", falls_of_r2, "fall of R²",
         "How much R² of test patients falls when the modality is hidden from all of them."),
    )  # fmt: skip
    return [
        (cohort_figures.bars_figure(name, title, values, label), caption)
        for name, title, values, label, caption in bars
        if any(values.values())
    ]


def _numbers(inputs: ReportInputs) -> set[str]:
    return {outcome.name for outcome in inputs.cohort.layout.outcomes if outcome.kind == "continuous"}


def _divided(
    values: Mapping[str, Mapping[str, float]], numbers: set[str]
) -> tuple[dict[str, Mapping[str, float]], dict[str, Mapping[str, float]]]:
    """Values by outcome, of events and classes, and of numbers."""
    return (
        {outcome: by for outcome, by in values.items() if outcome not in numbers},
        {outcome: by for outcome, by in values.items() if outcome in numbers},
    )


def _of_classes(inputs: ReportInputs) -> str:
    """What is shown of an outcome of classes; empty without any."""
    if not inputs.cohort.layout.families:
        return ""
    return "Of classes it is half the sum over them: the probability that moves from one to another. "


def _facts(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the environment, for a table."""
    rows = [(key, environment[key]) for key in FACTS]
    rows += list(environment.get("libraries", {}).items())
    plugins = [f"{p['entry_point']} ({p['distribution']} {p['version']})" for p in environment["plugins"]]
    rows.append(("plugins", ", ".join(plugins)))
    return [(key, str(value)) for key, value in rows]
