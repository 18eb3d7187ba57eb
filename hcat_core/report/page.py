"""The HTML report: one page, its sections in the order of the data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hcat_core.data.missingness_patterns import count_patterns
from hcat_core.data.splits import SPLITS
from hcat_core.report import captions, cohort_figures, data_checks, method, outcomes, part_captions
from hcat_core.report.inputs import ReportInputs, few
from hcat_core.report.page_facts import PageFacts, cohort_name
from hcat_core.report.page_template import render_page
from hcat_core.report.task_figures import task_figures
from hcat_core.report.tripod import tripod_items
from hcat_core.report.verdict_figure import VERDICT_KINDS, auc_figure
from hcat_core.report.words import purpose, summary_in_words
from hcat_core.storage.checkpoint import write_text

SUBSETS_SHOWN = 31
SECTIONS = (
    ("cohort", "Cohort and missing data"),
    ("learning", "Training"),
    ("discrimination", "Discrimination"),
    ("calibration", "Calibration"),
    ("decision", "Decision curves"),
    ("risk", "Risk groups over time"),
    ("imputation", "Imputation"),
    ("parts", "What each part adds"),
    ("patterns", "By missingness pattern"),
    ("importance", "Contribution of each modality"),
    ("baselines", "Comparison with simple models"),
    ("leakage", "Checks of the data"),
    ("recipe", "Recipe and environment"),
    ("tripod", "TRIPOD+AI"),
)
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
    name = cohort_name(summary.recipe)
    facts = PageFacts(name, len(cohort), cohort.layout, summary.run.estimator, inputs.date)
    tasks = [task_figures(inputs, column) for column in range(len(cohort.layout.tasks))]
    return render_page(
        "run.html.j2",
        title=inputs.title,
        facts=facts.pairs(),
        sections=SECTIONS,
        subjects=facts.subjects(),
        verdict_kinds=VERDICT_KINDS,
        recipe=inputs.recipe,
        inputs=inputs,
        purpose=purpose(inputs),
        verdicts=summary.verdicts,
        verdict_figure=auc_figure(summary.metrics["test"], analysis.baselines or {}),
        sentences=summary_in_words(inputs),
        layout=cohort.layout,
        data=summary.data,
        run=summary.run,
        metrics=summary.metrics,
        sides=[side for side in SPLITS if any(m.patients for m in summary.metrics[side].values())],
        environment=_environment(summary.environment),
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
        (cohort_figures.bars_figure(name, title, values, label), caption)
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
