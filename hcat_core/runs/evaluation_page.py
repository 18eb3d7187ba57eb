"""``evaluation.html``: a trained run on another cohort: verdict, ranking, probabilities, who lacks what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

from hcat_core.evaluation.other_outcomes import ClassScores, OtherScores, ValueScores
from hcat_core.evaluation.scores import TaskScores
from hcat_core.metrics.intervals import Resampling
from hcat_core.metrics.resampling import group_numbers
from hcat_core.report import captions, other_captions, performance_figures
from hcat_core.report.forest_plot import ForestRow, ForestScale, forest_figure
from hcat_core.report.inputs import KnownOutcomes, few
from hcat_core.report.other_outcomes import OutcomeSection, outcome_title
from hcat_core.report.other_tables import brief_table, class_table, score_table
from hcat_core.report.outcome_figures import PatientGroup, outcome_figures
from hcat_core.report.page_facts import PageFacts
from hcat_core.report.page_tables import Cell, PageTable, TableRow, figure_cell, numbers, share_cell, texts
from hcat_core.report.page_template import render_page
from hcat_core.report.svg import Captioned
from hcat_core.report.verdict_figure import VERDICT_KINDS
from hcat_core.report.words import too_few
from hcat_core.runs.external_validation import Evaluation
from hcat_core.runs.trained_run import TrainedRun
from hcat_core.text.percent import percent

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
    others = _other_sections(run, evaluation)
    on = f" on {run.recipe.cohort.name}" if run.recipe.cohort.name else ""
    method = f"{run.recipe.estimator['use']}, trained in {name}{on}"
    facts = PageFacts(_cohort_name(evaluation), len(cohort), cohort.layout, method, date)
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
        ranking=_ranking([(task, scores) for task, scores in evaluation.metrics.items()], ["outcome"]),
        probabilities=_probabilities(evaluation.metrics),
        tasks=list(_task_figures(run, evaluation)),
        missing=_missing(evaluation, summary["data"]),
        patterns=_patterns(evaluation),
        other_patterns=_other_patterns(evaluation),
        groups=list(_groups(evaluation)),
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
        first = [score_table({HERE: scores}, other_captions.measures(scores))] if scores.patients else []
        if isinstance(scores, ClassScores) and scores.patients:
            first.append(class_table(scores, other_captions.by_class("Patients")))
        none = other_captions.too_few(outcome.name, scores, "patient") if scores.few else ""
        figures = outcome_figures(group, outcome, scores, anchor)
        sections.append(OutcomeSection(anchor, outcome_title(outcome), none, first, figures))
    return sections


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
            *map(share_cell, (one.mean_predicted, one.observed)),
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


def _other_patterns(evaluation: Evaluation) -> list[PageTable]:
    names = evaluation.cohort.layout.names
    scored = [
        (", ".join(n for n, has in zip(names, one.present, strict=True) if has), one.others)
        for one in evaluation.patterns
    ]
    return _others_by_group("patients have", scored)


def _groups(evaluation: Evaluation) -> Iterator[tuple[str, list[PageTable]]]:
    """The name of each grouping, and its tables: one of events, one of each other outcome."""
    for name, groups in evaluation.groups.items():
        events = [(group, task, one) for group, tasks in groups.items() for task, one in tasks.items()]
        tables = [_by_group(name, events, f"Scores by {name}")] if events else []
        yield name, tables + _others_by_group(name, list(evaluation.other_groups.get(name, {}).items()))


def _others_by_group(name: str, scored: Sequence[tuple[str, Mapping[str, OtherScores]]]) -> list[PageTable]:
    """A table for each outcome of classes, and for each number, one row for each group."""
    outcomes = dict.fromkeys(outcome for _, others in scored for outcome in others)
    return [
        brief_table(
            texts(name),
            [([group], others[outcome]) for group, others in scored if outcome in others],
            f"{outcome}: in brackets 95 % intervals.",
            f"Scores of {outcome} by what {name}"
            if name == "patients have"
            else f"Scores of {outcome} by {name}",
        )
        for outcome in outcomes
    ]


def _by_group(name: str, scored: Sequence[tuple[str, str, TaskScores]], title: str) -> PageTable:
    rows: list[TableRow] = [
        [
            group,
            task,
            f"{one.events}/{one.patients}",
            _unless(few(one), one.auc, one.auc_95),
            _unless(few(one), one.calibration_slope, one.calibration_slope_95),
            *map(share_cell, (one.mean_predicted, one.observed)),
        ]
        for group, task, one in scored
    ]
    headings = ("events/patients", "AUC", "slope (95 %)", "predicted", "observed")
    columns = [*texts(name, "outcome"), *numbers(*headings)]
    return PageTable(columns, rows, title=title)
