"""``evaluation.html``: a trained run on another cohort: verdict, ranking, probabilities, who lacks what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

from hcat_core.evaluation.other_outcomes import ClassScores, ValueScores
from hcat_core.evaluation.scores import TaskScores
from hcat_core.metrics.intervals import Resampling
from hcat_core.metrics.resampling import group_numbers
from hcat_core.report import captions, other_captions, performance_figures
from hcat_core.report.forest_plot import ForestRow, ForestScale, forest_figure
from hcat_core.report.inputs import KnownOutcomes, few
from hcat_core.report.other_outcomes import OutcomeSection, outcome_title
from hcat_core.report.other_tables import class_table, score_table
from hcat_core.report.outcome_figures import PatientGroup, outcome_figures
from hcat_core.report.page_facts import PageFacts
from hcat_core.report.page_tables import Cell, PageTable, TableRow, figure_cell, numbers, share_cell, texts
from hcat_core.report.page_template import render_page
from hcat_core.report.score_intervals import ScoreIntervals, score_intervals
from hcat_core.report.svg import Captioned
from hcat_core.report.verdict_figure import VERDICT_KINDS
from hcat_core.report.words import too_few
from hcat_core.runs.evaluation_groups import (
    group_tables,
    missing_table,
    other_pattern_tables,
    pattern_table,
)
from hcat_core.runs.external_validation import Evaluation
from hcat_core.runs.trained_run import TrainedRun

HERE, THERE = "this cohort", "test set of the run"
SCALES = {
    "auc": ForestScale("AUC", reference=0.5, ends=(None, 1.0)),
    "r2": ForestScale("R²", reference=0.0, ends=(None, 1.0)),
}
OF_EVENTS = (
    ("ranking", "Does it rank patients rightly?"),
    ("probabilities", "Are the probabilities right?"),
)
OF_ALL = (
    ("missing", "Who lacks what"),
    ("groups", "Groups of patients"),
    ("warnings", "What makes the scores doubtful"),
)


def evaluation_page(run: TrainedRun, evaluation: Evaluation, date: str) -> str:
    """Render the page of an evaluation.

    Args:
        run: that was evaluated.
        evaluation: its scores on a cohort.
        date: in words.
    """
    cohort, name = evaluation.cohort, run.folder.path.resolve().name
    summary: Any = run.folder.read_summary()
    others = _other_sections(run, evaluation)
    on = f" on {run.recipe.cohort.name}" if run.recipe.cohort.name else ""
    method = f"{run.recipe.estimator['use']}, trained in {name}{on}"
    facts = PageFacts(_cohort_name(evaluation), len(cohort), cohort.layout, method, date)
    intervals = _intervals(run, evaluation)
    return render_page(
        "evaluation.html.j2",
        title=f"{name} on another cohort",
        facts=facts.pairs(),
        sections=[
            *(OF_EVENTS if evaluation.metrics else ()),
            *((one.anchor, one.title) for one in others),
            *OF_ALL,
        ],
        verdicts=evaluation.verdicts,
        subjects=facts.subjects(),
        verdict_kinds=VERDICT_KINDS,
        both=_both_cohorts(evaluation, summary),
        others=others,
        ranking=_ranking(evaluation.metrics, intervals),
        probabilities=_probabilities(evaluation.metrics, intervals),
        tasks=list(_task_figures(run, evaluation)),
        missing=missing_table(evaluation, summary["data"]),
        patterns=pattern_table(evaluation),
        other_patterns=other_pattern_tables(evaluation),
        groups=list(group_tables(evaluation)),
        warnings=evaluation.warnings,
    )


def _cohort_name(evaluation: Evaluation) -> str:
    """The last two folders of the files; patients who were given in Python have none."""
    sources = [one.source for one in evaluation.report.modalities]
    if not sources or not all(Path(source).is_absolute() for source in sources):
        return "given in Python"
    return "/".join(Path(commonpath([Path(source).parent for source in sources])).parts[-2:])


def _both_cohorts(evaluation: Evaluation, summary: Mapping[str, Any]) -> list[Captioned]:
    """The AUC, and R2, in this cohort beside that of the run's own test patients, where there are any."""
    before = {**summary["metrics"]["test"], **summary.get("other_outcomes", {}).get("test", {})}
    rows: dict[str, list[ForestRow]] = {key: [] for key in SCALES}
    scored = {task: (few(one), one) for task, one in evaluation.metrics.items()}
    for outcome, (hidden, one) in (scored | {n: (o.few, o) for n, o in evaluation.others.items()}).items():
        key = "r2" if isinstance(one, ValueScores) else "auc"
        if hidden:
            continue
        value, pair = vars(one)[key], vars(one)[f"{key}_95"]
        rows[key] += [ForestRow(outcome), ForestRow(HERE, value, pair, emphasised=True)]
        old = before.get(outcome)
        if old is not None and old[f"{key}_95"]:
            rows[key].append(ForestRow(THERE, old[key], old[f"{key}_95"]))
    whom = "the patients of this cohort, and the test patients of the cohort that it was trained on"
    captions_of = {
        "auc": f"How well the model ranks {whom}, or tells their classes apart; 0.5 is chance.",
        "r2": f"How close predictions come to the values of {whom}; 0 is predicting their mean.",
    }
    figures = [
        Captioned(
            forest_figure(f"both-{key}", rows[key], scale, f"{scale.axis} in this cohort and of the run"),
            f"{captions_of[key]} Lines are 95 % intervals.",
        )
        for key, scale in SCALES.items()
    ]
    return [figure for figure in figures if figure.svg]


def _other_sections(run: TrainedRun, evaluation: Evaluation) -> list[OutcomeSection]:
    """The section of each outcome of classes, and of each number, in the order of the recipe."""
    cohort = evaluation.cohort
    assert cohort.targets is not None
    predicted, seed = evaluation.predictions.predicted, run.recipe.seed
    group = PatientGroup(cohort, predicted, cohort.targets, seed, "patient")
    sections = []
    for place, outcome in enumerate(cohort.layout.outcomes):
        if outcome.kind == "event":
            continue
        anchor, scores = f"outcome{place}", evaluation.others[outcome.name]
        first = (
            [score_table({HERE: scores}, f"{other_captions.measures(scores)} In brackets: 95 % intervals.")]
            if scores.patients
            else []
        )
        if isinstance(scores, ClassScores) and scores.patients:
            first.append(class_table(scores, other_captions.by_class("Patients")))
        none = other_captions.too_few(outcome.name, scores, "patient") if scores.few else ""
        figures = outcome_figures(group, outcome, scores, anchor)
        sections.append(OutcomeSection(anchor, outcome_title(outcome), none, first, figures))
    return sections


def _ranking(metrics: Mapping[str, TaskScores], intervals: Mapping[str, ScoreIntervals]) -> PageTable:
    rows: list[TableRow] = []
    for name, one in metrics.items():
        hidden, found = few(one), intervals[name]
        rows.append(
            [
                name,
                f"{one.events}/{one.patients}",
                _unless(hidden, one.auc, one.auc_95),
                _unless(hidden, one.average_precision, one.average_precision_95),
                _unless(hidden, one.c_index, one.c_index_95),
                _unless(hidden, one.sensitivity, found.sensitivity),
                _unless(hidden, one.specificity, found.specificity),
                figure_cell(one.threshold, digits=2),
            ]
        )
    headings = (
        "events/patients",
        "AUC",
        "average precision",
        "Uno's C",
        "sensitivity",
        "specificity",
        "threshold",
    )
    columns = [*texts("outcome"), *numbers(*headings)]
    caption = (
        "In brackets: 95 % intervals. Sensitivity and specificity are those of calling the event from a "
        "probability on: the threshold that was chosen in training."
    )
    return PageTable(columns, rows, caption).without_dashes()


def _unless(hidden: bool, value: float | None, pair: Sequence[float] | None = None) -> Cell:
    return figure_cell(None if hidden else value, pair, 2)


def _probabilities(metrics: Mapping[str, TaskScores], intervals: Mapping[str, ScoreIntervals]) -> PageTable:
    rows: list[TableRow] = [
        [
            task,
            *map(share_cell, (one.mean_predicted, one.observed)),
            _unless(few(one), one.calibration_slope, one.calibration_slope_95),
            figure_cell(one.brier, intervals[task].brier),
        ]
        for task, one in metrics.items()
    ]
    columns = [*texts("outcome"), *numbers("predicted", "observed", "slope (95 %)", "Brier score")]
    caption = (
        "Mean predicted probability and share with the event. The ideal slope is 1: below it the "
        "probabilities are too extreme, above it too moderate. The Brier score is their mean squared "
        "error: smaller is better."
    )
    return PageTable(columns, rows, caption)


def _intervals(run: TrainedRun, evaluation: Evaluation) -> dict[str, ScoreIntervals]:
    """Intervals of each event's scores that the summary has none of."""
    cohort, predicted = evaluation.cohort, evaluation.predictions.predicted
    assert cohort.targets is not None
    return {
        cohort.layout.tasks[column].name: score_intervals(
            KnownOutcomes.of(cohort, predicted, column, cohort.targets), run.fitted.thresholds[column]
        )
        for column in cohort.layout.event_columns
    }


def _task_figures(run: TrainedRun, evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """Figures of each outcome, or why there are none."""
    cohort, predicted = evaluation.cohort, evaluation.predictions.predicted
    assert cohort.targets is not None
    events = [(column, cohort.layout.tasks[column]) for column in cohort.layout.event_columns]
    resampling = Resampling(run.recipe.evaluation.bootstrap, run.recipe.seed, group_numbers(cohort.groups))
    for column, task in events:
        known = KnownOutcomes.of(cohort, predicted, column, cohort.targets)
        if known.few:
            yield {"none": too_few(task.name, known, "patient")}
            continue
        name = f"task{column}"
        roc = performance_figures.roc_figure(name, task.name, known, resampling)
        calibration = performance_figures.calibration_figure(name, task.name, known)
        banded = performance_figures.band_resamples(known, resampling)
        band = " The band is a pointwise 95 % interval." if banded else ""
        yield {
            "none": "",
            "roc": Captioned(
                roc, f"{task.name}: the dashed line is a model that ranks patients at random.{band}"
            ),
            "calibration": Captioned(calibration, captions.calibration_figure(task.name, known, "patient")),
        }
