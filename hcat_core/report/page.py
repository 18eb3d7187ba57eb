"""The HTML report: one page, its sections in the order of the data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hcat_core.data.missingness_patterns import count_patterns
from hcat_core.report import (
    captions,
    cohort_figures,
    data_checks,
    method,
    outcomes,
    part_captions,
    run_tables,
)  # fmt: skip
from hcat_core.report.formatting import counted
from hcat_core.report.inputs import ReportInputs, few
from hcat_core.report.page_facts import PageFacts
from hcat_core.report.page_template import render_page
from hcat_core.report.svg import Captioned
from hcat_core.report.task_figures import task_figures
from hcat_core.report.tripod import tripod_items
from hcat_core.report.verdict_figure import VERDICT_KINDS, auc_figure
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
    tasks = [task_figures(inputs, column) for column in range(len(cohort.layout.tasks))]
    patients = counted(len(cohort), "patient")
    return render_page(
        "run.html.j2",
        title=inputs.title,
        facts=facts.pairs(),
        sections=list(SECTIONS.items()),
        names=SECTIONS,
        subjects=facts.subjects(),
        verdicts=summary.verdicts,
        verdict_kinds=VERDICT_KINDS,
        verdict_figure=Captioned(
            auc_figure(summary.metrics["test"], analysis.baselines or {}), captions.verdicts(inputs)
        ),
        recipe=inputs.recipe,
        inputs=inputs,
        purpose=purpose(inputs),
        sentences=summary_in_words(inputs),
        layout=cohort.layout,
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
    falls = {task: falls for task, falls in modalities.leave_one_out.items() if not few(test[task])}
    bars = (
        ("shapley", "Mean absolute Shapley value", modalities.shapley, "change of the probability",
         "The Shapley value is the change of a patient's predicted probability that is due to a modality. "
         "Shown is its mean size over the test patients who have the modality, computed exactly over all "
         "subsets of modalities. " + captions.drawn_patients(inputs)),
        ("leave-one-out", "Loss when it is hidden", falls, "fall of the AUC",
         "How much the AUC of test patients falls when the modality is hidden from all of them; below 0, "
         "it rose. "
         + outcomes.weighting(inputs)),
    )  # fmt: skip
    return [
        Captioned(cohort_figures.bars_figure(name, title, values, label), caption)
        for name, title, values, label, caption in bars
        if any(values.values())
    ]


def _environment(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the environment, for a table."""
    rows = [(key, environment[key]) for key in FACTS]
    rows += list(environment.get("libraries", {}).items())
    plugins = [f"{p['entry_point']} ({p['distribution']} {p['version']})" for p in environment["plugins"]]
    rows.append(("plugins", ", ".join(plugins)))
    return [(key, str(value)) for key, value in rows]
