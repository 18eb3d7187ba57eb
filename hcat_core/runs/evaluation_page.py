"""``evaluation.html``: a trained run on another cohort: verdict, ranking, probabilities, who lacks what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

from hcat_core.evaluation.scores import TaskScores
from hcat_core.metrics.intervals import Resampling
from hcat_core.metrics.resampling import group_numbers
from hcat_core.report import captions, performance_figures
from hcat_core.report.forest_plot import ForestRow, ForestScale, forest_figure
from hcat_core.report.formatting import percent
from hcat_core.report.inputs import KnownOutcomes, few
from hcat_core.report.page_facts import PageFacts
from hcat_core.report.page_tables import Cell, PageTable, TableRow, figure_cell, numbers, texts
from hcat_core.report.page_template import render_page
from hcat_core.report.svg import Captioned
from hcat_core.report.verdict_figure import VERDICT_KINDS
from hcat_core.report.words import too_few
from hcat_core.runs.external_validation import Evaluation
from hcat_core.runs.trained_run import TrainedRun

HERE, THERE = "this cohort", "test set of the run"
SCALE = ForestScale("AUC", reference=0.5, ends=(None, 1.0))
SECTIONS = (
    ("ranking", "Does it rank patients rightly?"),
    ("probabilities", "Are the probabilities right?"),
    ("missing", "Who lacks what"),
    ("groups", "Groups of patients"),
    ("doubts", "What makes the scores doubtful"),
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
    method = f"{run.recipe.estimator['use']}, trained in {name}"
    facts = PageFacts(_cohort_name(evaluation), len(cohort), cohort.layout, method, date)
    return render_page(
        "evaluation.html.j2",
        title=f"{name} on another cohort",
        facts=facts.pairs(),
        sections=SECTIONS,
        verdicts=evaluation.verdicts,
        subjects=facts.subjects(),
        verdict_kinds=VERDICT_KINDS,
        both=_both_cohorts(evaluation.metrics, summary["metrics"]["test"]),
        ranking=_ranking([(task, scores) for task, scores in evaluation.metrics.items()], ["outcome"]),
        probabilities=_probabilities(evaluation.metrics),
        tasks=list(_task_figures(run, evaluation)),
        missing=_missing(evaluation, summary["data"]),
        patterns=_patterns(evaluation),
        groups=[_group(name, groups) for name, groups in evaluation.groups.items()],
        warnings=evaluation.warnings,
    )


def _cohort_name(evaluation: Evaluation) -> str:
    """The last two folders of the files; patients who were given in Python have none."""
    sources = [one.source for one in evaluation.report.modalities]
    if not sources or not all(Path(source).is_absolute() for source in sources):
        return "given in Python"
    return "/".join(Path(commonpath([Path(source).parent for source in sources])).parts[-2:])


def _both_cohorts(metrics: Mapping[str, TaskScores], before: Mapping[str, Any]) -> Captioned:
    """The AUC in this cohort beside that of the run's own test patients."""
    rows: list[ForestRow] = []
    for task, scores in metrics.items():
        if few(scores):
            continue
        rows += [ForestRow(task), ForestRow(HERE, scores.auc, scores.auc_95, emphasised=True)]
        old = before.get(task)
        if old is not None and old["auc_95"]:
            rows.append(ForestRow(THERE, old["auc"], old["auc_95"]))
    return Captioned(
        forest_figure("both", rows, SCALE, "AUC in this cohort and among the test patients of the run"),
        "How well the model ranks the patients of this cohort, and the test patients of the cohort that it "
        "was trained on; 0.5 is chance. Lines are 95 % intervals.",
    )


def _ranking(scored: Sequence[tuple[str, TaskScores]], first: Sequence[str]) -> PageTable:
    rows: list[TableRow] = []
    for name, one in scored:
        hidden = few(one)
        rows.append(
            [
                name,
                f"{one.events}/{one.patients}",
                _unless(hidden, one.auc, one.auc_95),
                _unless(hidden, one.average_precision, one.average_precision_95),
                _unless(hidden, one.c_index, one.c_index_95),
                *(_unless(hidden, value) for value in (one.sensitivity, one.specificity)),
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
        "from",
    )
    columns = [*texts(*first), *numbers(*headings)]
    caption = (
        "In brackets: 95 % intervals. Sensitivity and specificity are those of calling the event from the "
        "probability in the last column on, the threshold that was chosen in training."
    )
    return PageTable(columns, rows, caption).without_dashes()


def _unless(hidden: bool, value: float | None, pair: Sequence[float] | None = None) -> Cell:
    return figure_cell(None if hidden else value, pair, 2)


def _probabilities(metrics: Mapping[str, TaskScores]) -> PageTable:
    rows: list[TableRow] = [
        [
            task,
            *_predicted_and_observed(one),
            _unless(few(one), one.calibration_slope, one.calibration_slope_95),
            figure_cell(one.brier),
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


def _predicted_and_observed(one: TaskScores) -> list[str]:
    return ["–" if value is None else percent(value) for value in (one.mean_predicted, one.observed)]


def _task_figures(run: TrainedRun, evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """Figures of each outcome, or why there are none."""
    cohort, predicted = evaluation.cohort, evaluation.predictions.predicted
    assert cohort.targets is not None
    resampling = Resampling(run.recipe.evaluation.bootstrap, run.recipe.seed, group_numbers(cohort.groups))
    for column, task in enumerate(cohort.layout.tasks):
        known = KnownOutcomes.of(cohort, predicted, column, cohort.targets)
        if known.few:
            yield {"none": too_few(task.name, known, "patient")}
            continue
        name = f"task{column}"
        roc = performance_figures.roc_figure(name, task.name, known, resampling)
        calibration = performance_figures.calibration_figure(name, task.name, known)
        yield {
            "none": "",
            "roc": Captioned(
                roc, f"{task.name}: the dashed line is a model that ranks patients at random."
            ),
            "calibration": Captioned(calibration, captions.calibration_figure(task.name, known, "patient")),
        }


def _missing(evaluation: Evaluation, data: Mapping[str, Any]) -> PageTable:
    """How many patients have each modality, here and in training."""
    cohort = evaluation.cohort
    here = cohort.present.double().mean(dim=0).tolist()
    before = {n: one["patients"] / max(1, data["patients"]) for n, one in data["modalities"].items()}
    rows: list[TableRow] = [
        [name, percent(share), percent(before[name]) if name in before else "–"]
        for name, share in zip(cohort.layout.names, here, strict=True)
    ]
    return PageTable(
        [*texts("modality"), *numbers("patients here who have it", "patients in the cohort of training")],
        rows,
    )


def _patterns(evaluation: Evaluation) -> PageTable:
    names = evaluation.cohort.layout.names
    scored = [
        (", ".join(n for n, has in zip(names, one.present, strict=True) if has), task, scores)
        for one in evaluation.patterns
        for task, scores in one.tasks.items()
    ]
    return _by_group("patients have", scored, "Scores by the modalities that patients have")


def _group(name: str, groups: Mapping[str, Mapping[str, TaskScores]]) -> PageTable:
    scored = [(group, task, scores) for group, tasks in groups.items() for task, scores in tasks.items()]
    return _by_group(name, scored, f"Scores by {name}")


def _by_group(name: str, scored: Sequence[tuple[str, str, TaskScores]], title: str) -> PageTable:
    rows: list[TableRow] = [
        [
            group,
            task,
            f"{one.events}/{one.patients}",
            _unless(few(one), one.auc, one.auc_95),
            _unless(few(one), one.calibration_slope, one.calibration_slope_95),
            *_predicted_and_observed(one),
        ]
        for group, task, one in scored
    ]
    headings = ("events/patients", "AUC", "slope (95 %)", "predicted", "observed")
    columns = [*texts(name, "outcome"), *numbers(*headings)]
    return PageTable(columns, rows, title=title)
