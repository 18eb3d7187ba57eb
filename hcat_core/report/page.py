"""The HTML report: one page, its sections in the order of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hcat_core.cohort import Layout
from hcat_core.data.missingness_patterns import count_patterns
from hcat_core.report import (
    captions,
    cohort_figures,
    data_checks,
    method,
    other_captions,
    outcomes,
    part_captions,
    run_tables,
)  # fmt: skip
from hcat_core.report.formatting import counted
from hcat_core.report.inputs import ReportInputs, few
from hcat_core.report.other_outcomes import OutcomeSection, other_sections
from hcat_core.report.page_facts import PageFacts
from hcat_core.report.page_template import render_page
from hcat_core.report.svg import Captioned
from hcat_core.report.task_figures import task_figures
from hcat_core.report.tripod import tripod_items
from hcat_core.report.verdict_figure import VERDICT_KINDS, auc_figure, r2_figure
from hcat_core.report.words import purpose, summary_in_words
from hcat_core.storage.checkpoint import write_text

SECTIONS = {
    "cohort": "Patients, and what they lack",
    "learning": "Training",
    "discrimination": "Ranking of patients (discrimination)",
    "calibration": "Are the probabilities right? (calibration)",
    "decision": "Is it worth treating by it? (decision curves)",
    "risk": "Risk groups over time",
    "imputation": "How well gaps are filled (imputation)",
    "parts": "What each part of the model adds",
    "patterns": "Patients who lack modalities",
    "importance": "What each modality contributes",
    "baselines": "Comparison with simple models",
    "leakage": "Checks of the data",
    "recipe": "Recipe and environment",
    "tripod": "Reporting guideline (TRIPOD+AI)",
}
OF_EVENTS = ("discrimination", "calibration", "decision", "risk", "patterns", "baselines")
FACTS = ("hcat", "python", "platform", "device", "threads", "data")


def write_report(path: Path, inputs: ReportInputs) -> None:
    """Render the page and write the file atomically.

    The page has no patient ids and no scripts, and loads nothing.
    """
    write_text(path, render(inputs))


def render(inputs: ReportInputs) -> str:
    """Render the page as HTML."""
    cohort, summary = inputs.cohort, inputs.summary
    analysis = summary.analysis
    facts = PageFacts.of_run(inputs)
    tasks = [task_figures(inputs, column) for column in cohort.layout.event_columns]
    others = other_sections(inputs)
    patients = counted(len(cohort), "patient")
    return render_page(
        "run.html.j2",
        title=inputs.title,
        facts=facts.pairs(),
        sections=_sections(others, bool(tasks)),
        names=SECTIONS,
        subjects=facts.subjects(),
        verdicts=summary.verdicts,
        verdict_kinds=VERDICT_KINDS,
        verdict_figures=_verdict_figures(inputs),
        recipe=inputs.recipe,
        inputs=inputs,
        purpose=purpose(inputs),
        sentences=summary_in_words(inputs),
        layout=_of_events(cohort.layout),
        others=others,
        run=summary.run,
        environment=run_tables.environment(_environment(summary.environment)),
        presence=Captioned(
            cohort_figures.presence_figure(cohort),
            f"Share of the {patients} with at least one measured value of the modality.",
        ),
        patterns=Captioned(cohort_figures.patterns_figure(cohort), _patterns_caption(inputs)),
        learning=cohort_figures.learning_figures(summary.history),
        tasks=tasks,
        analysis=analysis,
        subsets=run_tables.subsets(inputs, [one.task.name for one in tasks if one.none]),
        importance=_importance(inputs),
        tripod=tripod_items(inputs, tasks),
        tables=run_tables,
        captions=captions,
        method=method,
        outcomes=outcomes,
        data_checks=data_checks,
        part_captions=part_captions,
    )


def _verdict_figures(inputs: ReportInputs) -> list[Captioned]:
    """Scores of this model and the simple ones; none where there are too few patients."""
    summary, analysis = inputs.summary, inputs.summary.analysis
    others, simple = summary.others.get("test", {}), analysis.other_baselines or {}
    figures = [
        Captioned(
            auc_figure(summary.metrics["test"], analysis.baselines or {}, others, simple),
            captions.verdicts(inputs),
        ),
        Captioned(r2_figure(others, simple), other_captions.verdicts()),
    ]
    return [figure for figure in figures if figure.svg]


def _of_events(layout: Layout) -> Layout:
    """The layout with its events alone: other outcomes have sections of their own."""
    return replace(layout, tasks=tuple(layout.tasks[column] for column in layout.event_columns))


def _sections(others: Sequence[OutcomeSection], has_events: bool) -> list[tuple[str, str]]:
    """Anchors and names in the order of the page: other outcomes follow the sections on events."""
    names = {a: n for a, n in SECTIONS.items() if has_events or a not in OF_EVENTS}
    before = [one for one in names if one in ("cohort", "learning", *OF_EVENTS[:4])]
    after = [one for one in names if one not in before]
    return [
        *((one, names[one]) for one in before),
        *((one.anchor, one.title) for one in others),
        *((one, names[one]) for one in after),
    ]


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


def _importance(inputs: ReportInputs) -> list[Captioned]:
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
        Captioned(cohort_figures.bars_figure(name, title, values, label), caption)
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


def _environment(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the environment, for a table."""
    rows = [(key, environment[key]) for key in FACTS]
    rows += list(environment.get("libraries", {}).items())
    plugins = [f"{p['entry_point']} ({p['distribution']} {p['version']})" for p in environment["plugins"]]
    rows.append(("plugins", ", ".join(plugins)))
    return [(key, str(value)) for key, value in rows]
