"""Tables of ``evaluation.html`` on groups of patients: by what they have, and by a feature or a column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hcat_core.evaluation.analysis import PatternScores
from hcat_core.evaluation.other_outcomes import OtherScores
from hcat_core.evaluation.scores import TaskScores
from hcat_core.report import captions, other_captions
from hcat_core.report.inputs import few
from hcat_core.report.other_tables import brief_table
from hcat_core.report.page_tables import PageTable, TableRow, figure_cell, numbers, share_cell, texts
from hcat_core.runs.external_validation import Evaluation
from hcat_core.text.numbers import percent

PATTERN = "patients have"


def missing_table(evaluation: Evaluation, data: Mapping[str, Any]) -> PageTable:
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


def pattern_table(evaluation: Evaluation) -> PageTable:
    """Scores of events by the modalities that patients have."""
    scored = [
        (_in_words(one, evaluation), task, scores)
        for one in evaluation.patterns
        for task, scores in one.tasks.items()
    ]
    return _by_group(PATTERN, scored, "Scores by the modalities that patients have")


def other_pattern_tables(evaluation: Evaluation) -> list[PageTable]:
    """The same of other outcomes, a table for each."""
    scored = [(_in_words(one, evaluation), one.others) for one in evaluation.patterns]
    return _others_by_group(PATTERN, scored)


def _in_words(pattern: PatternScores, evaluation: Evaluation) -> str:
    names = zip(evaluation.cohort.layout.names, pattern.present, strict=True)
    return ", ".join(name for name, has in names if has) or "no modality"


def group_tables(evaluation: Evaluation) -> Iterator[tuple[str, list[PageTable]]]:
    """The name of each grouping, and its tables: one of events, one of each other outcome."""
    for name, groups in evaluation.groups.items():
        events = [(group, task, one) for group, tasks in groups.items() for task, one in tasks.items()]
        tables = [_by_group(name, events, f"Scores by {name}")] if events else []
        yield name, tables + _others_by_group(name, list(evaluation.other_groups.get(name, {}).items()))


def _others_by_group(name: str, scored: Sequence[tuple[str, Mapping[str, OtherScores]]]) -> list[PageTable]:
    """A table for each outcome of classes, and for each number, one row for each group."""
    tables = []
    for outcome in dict.fromkeys(outcome for _, others in scored for outcome in others):
        rows = [([group], others[outcome]) for group, others in scored if outcome in others]
        title = f"Scores of {outcome} by {'what ' if name == PATTERN else ''}{name}"
        text = _caption(title, other_captions.left_out([one for _, one in rows]))
        tables.append(brief_table(texts(name), rows, text, title))
    return tables


def _caption(title: str, left_out: str) -> str:
    """The caption of a table of groups, some of which may be too small for scores."""
    intervals = "" if left_out.startswith("No scores") else " In brackets: 95 % intervals."
    return f"{title}.{intervals} {left_out}".strip()


def _by_group(name: str, scored: Sequence[tuple[str, str, TaskScores]], title: str) -> PageTable:
    rows: list[TableRow] = [
        [
            group,
            task,
            f"{one.events}/{one.patients}",
            figure_cell(one.auc, one.auc_95, 2),
            figure_cell(one.calibration_slope, one.calibration_slope_95, 2),
            *map(share_cell, (one.mean_predicted, one.observed)),
        ]
        for group, task, one in scored
        if not few(one)
    ]
    headings = ("events/patients", "AUC", "slope", "predicted", "observed")
    columns = [*texts(name, "outcome"), *numbers(*headings)]
    caption = _caption(title, captions.left_out(len(rows), len(scored)))
    return PageTable(columns, rows, caption, title=title)
