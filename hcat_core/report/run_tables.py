"""Tables of the report of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hcat_core.cohort import Task
from hcat_core.data.splits import SPLITS
from hcat_core.evaluation.baselines import BaselineScores
from hcat_core.evaluation.scores import TaskScores
from hcat_core.evaluation.verdict import observed_over_predicted
from hcat_core.report import captions, outcomes, part_captions
from hcat_core.report.formatting import counted, number, percent, signed
from hcat_core.report.inputs import ReportInputs, few
from hcat_core.report.page_tables import (
    DASH,
    Cell,
    Column,
    PageTable,
    TableRow,
    figure_cell,
    numbers,
    texts,
)
from hcat_core.report.score_intervals import ScoreIntervals, score_intervals

SUBSETS_SHOWN = 31


def modalities(inputs: ReportInputs) -> PageTable:
    """What the files held of each modality."""
    rows = [
        [m.name, str(m.width), str(m.patients), str(m.rows), str(m.cells_not_measured)]
        for m in inputs.summary.data.modalities
    ]
    columns = [*texts("modality"), *numbers("features", "patients", "rows", "cells not measured")]
    return PageTable(columns, rows, "Modalities as read from the files. A cell is one feature of one row.")


def outcome_counts(inputs: ReportInputs) -> PageTable:
    """How many patients of each side had the event, by task."""
    data = inputs.summary.data
    rows: list[TableRow] = []
    for task in _events(inputs):
        for side in ("all", *SPLITS):
            if side != "all" and not data.split[side].patients:
                continue
            counts = (data.labels if side == "all" else data.split[side].labels)[task.name]
            row = [str(n) for n in (counts.event, counts.event_free, counts.unknown)]
            if data.competing_first:
                first = data.competing_first.get(task.name) if side == "all" else None
                row.append(DASH if first is None else f"{first} ({task.competing})")
            rows.append([task.name, side, *row])
    competing = ["competing event first"] if data.competing_first else []
    columns = [*texts("task", "patients"), *numbers("event", "event-free", "unknown", *competing)]
    return PageTable(columns, rows, outcomes.label_rules(inputs))


def discrimination(inputs: ReportInputs) -> PageTable:
    """How well patients are ranked, by side and task."""
    rows: list[TableRow] = []
    for side, task, one in _scored(inputs):
        hidden, found = few(one), _intervals(inputs, side, task)
        rows.append(
            [
                side,
                task,
                f"{one.events}/{one.patients}",
                _unless(hidden, one.auc, one.auc_95),
                _unless(hidden, one.average_precision, one.average_precision_95),
                _unless(hidden, one.c_index, one.c_index_95),
                _unless(hidden, one.sensitivity, found.sensitivity, 2),
                _unless(hidden, one.specificity, found.specificity, 2),
                figure_cell(one.threshold),
            ]
        )
    headings = ["events/n", "AUC", "AP", "Uno's C", "sensitivity", "specificity", "threshold"]
    if not _timed(inputs):
        headings.remove("Uno's C")
        rows = [[*row[:5], *row[6:]] for row in rows]
    columns = [*texts("patients", "task"), *numbers(*headings)]
    return PageTable(columns, rows, captions.discrimination(inputs))


def calibration(inputs: ReportInputs) -> PageTable:
    """Whether probabilities are right, by side and task."""
    rows: list[TableRow] = []
    for side, task, one in _scored(inputs):
        ratio, found = observed_over_predicted(one), _intervals(inputs, side, task)
        pair = None if ratio is None else ratio[1:]
        row: TableRow = [
            side,
            task,
            *(DASH if v is None else percent(v) for v in (one.mean_predicted, one.observed)),
            _unless(few(one), None if ratio is None else ratio[0], pair, 2),
            _unless(few(one), one.calibration_slope, one.calibration_slope_95, 2),
            figure_cell(one.brier, found.brier),
        ]
        rows.append([*row, figure_cell(one.integrated_brier)] if _timed(inputs) else row)
    headings = ["predicted", "observed", "observed/predicted", "slope", "Brier score"]
    headings += ["integrated Brier score"] if _timed(inputs) else []
    return PageTable([*texts("patients", "task"), *numbers(*headings)], rows, captions.calibration(inputs))


def imputation(inputs: ReportInputs) -> PageTable | None:
    """How well hidden modalities are imputed; None where that was not measured."""
    caption, found = part_captions.imputation(inputs), inputs.summary.analysis.imputation
    if not caption or found is None:
        return None
    beside = found.references.get("gaussian")
    rows: list[TableRow] = []
    for name, m in found.model.items():
        row = [name, str(m.blocks), number(m.r2)]
        row += [number(beside[name].r2)] if beside is not None else []
        row += [number(one.crps) for one in (m, *(table[name] for table in found.references.values()))]
        rows.append([*row, *(number(value, 2) for value in (m.coverage_50, m.coverage_90, m.width_90))])
    headings = ["patients", "R²", *(["R² gaussian"] if beside is not None else []), "CRPS"]
    headings += [f"CRPS {name}" for name in found.references]
    headings += ["50 % coverage", "90 % coverage", "90 % width"]
    return PageTable([*texts("modality"), *numbers(*headings)], rows, caption).without_dashes()


def correction(inputs: ReportInputs) -> PageTable | None:
    """What the network adds to the evidence; None without such a part."""
    caption, training = part_captions.evidence(inputs), inputs.summary.run.training
    if not caption or training is None:
        return None
    rows = [
        [task, number(one.weight, 2), number(one.gain, 4), number(one.error, 4), str(one.patients)]
        for task, one in (training.correction or {}).items()
    ]
    headings = (
        "weight of the correction",
        "gain in log likelihood",
        "standard error",
        "patients",
    )
    return PageTable([*texts("task"), *numbers(*headings)], rows, caption)


def gates(inputs: ReportInputs) -> PageTable | None:
    """How far the network relies on each modality; None without gates."""
    caption = part_captions.gates(inputs)
    if not caption:
        return None
    rows: list[TableRow] = []
    for name, one in (inputs.summary.analysis.gates or {}).items():
        row = [name]
        for found in (one.measured, one.imputed):
            values = () if found is None else (found.lowest, found.median, found.highest)
            row += [str(found.blocks if found else 0), " / ".join(number(v, 2) for v in values) or DASH]
        rows.append([*row, number(one.with_std, 2)])
    headings = ("measured", "gates of measured", "imputed", "gates of imputed", "correlation with std")
    return PageTable([*texts("modality"), *numbers(*headings)], rows, caption)


def patterns(inputs: ReportInputs) -> PageTable:
    """Scores by the modalities that patients have."""
    rows: list[TableRow] = []
    for pattern in inputs.summary.analysis.patterns or ():
        for task, one in pattern.tasks.items():
            rows.append(
                [
                    *("●" if has else "○" for has in pattern.present),
                    task,
                    f"{one.events}/{one.patients}",
                    _unless(few(one), one.auc, one.auc_95),
                    _unless(few(one), one.calibration_slope, one.calibration_slope_95, 2),
                    *(figure_cell(value, digits=2) for value in (one.mean_predicted, one.observed)),
                    figure_cell(one.brier),
                ]
            )
    headings = ("events/n", "AUC", "slope", "predicted", "observed", "Brier score")
    columns = [*_marks(inputs), *texts("task"), *numbers(*headings)]
    return PageTable(columns, rows, captions.patterns(inputs), title="Scores by missingness pattern")


def subsets(inputs: ReportInputs, unmeasured: Sequence[str]) -> PageTable | None:
    """The AUC when only some modalities are shown; None where that was not measured.

    Args:
        inputs: the run.
        unmeasured: tasks with too few patients of either outcome.
    """
    found, layout = inputs.summary.analysis.modalities, inputs.cohort.layout
    events = [task.name for task in _events(inputs)]
    if found is None or not set(events) - set(unmeasured):
        return None
    shown = found.subsets[:SUBSETS_SHOWN]
    rows: list[TableRow] = [
        [
            *("●" if name in one.kept else "○" for name in layout.names),
            *(_unless(t in unmeasured, one.tasks[t], one.intervals[t]) for t in events),
        ]
        for one in shown
    ]
    every = counted(len(found.subsets), "subset")
    which = every if len(shown) == len(found.subsets) else f"the {len(shown)} largest of {every}"
    columns = [*_marks(inputs), *numbers(*events)]
    title = f"AUC when only some modalities are available: {which}"
    return PageTable(columns, rows, captions.subsets(inputs), title=title)


def baselines(inputs: ReportInputs) -> PageTable | None:
    """The simple models beside the run's own; None without any."""
    found = inputs.summary.analysis.baselines
    if not found:
        return None
    rows: list[TableRow] = []
    for task in (one.name for one in _events(inputs)):
        own = inputs.summary.metrics["test"][task]
        rows.append([task, Cell("this model", strong=True), *_of_model(own), DASH, DASH])
        for name, tasks in found.items():
            rows.append([task, name, *_of_model(tasks[task]), *_difference(tasks[task])])
    columns = [
        *texts("task", "model"), *numbers("AUC", "AP", "Brier score", "slope", "difference"),
        *texts("this model is"),
    ]  # fmt: skip
    return PageTable(columns, rows, captions.baselines(inputs))


def environment(facts: Sequence[tuple[str, str]]) -> PageTable:
    """Names and values of the environment."""
    return PageTable(texts("what", "value"), facts, title="Environment")


def _events(inputs: ReportInputs) -> list[Task]:
    """The tasks that are events; other outcomes have sections of their own."""
    layout = inputs.cohort.layout
    return [layout.tasks[column] for column in layout.event_columns]


def _scored(inputs: ReportInputs) -> Iterator[tuple[str, str, TaskScores]]:
    """Side, task and scores of each side that has patients with a known outcome."""
    for side in SPLITS:
        tasks = inputs.summary.metrics[side]
        if any(one.patients for one in tasks.values()):
            yield from ((side, task, one) for task, one in tasks.items())


def _intervals(inputs: ReportInputs, side: str, task: str) -> ScoreIntervals:
    """Further intervals of test patients; those of other sides are of too optimistic figures anyway."""
    if side != "test":
        return ScoreIntervals()
    column = inputs.cohort.layout.task_names.index(task)
    return score_intervals(inputs.known_test_outcomes(column), inputs.summary.run.thresholds[column])


def _timed(inputs: ReportInputs) -> bool:
    sides = inputs.summary.metrics.values()
    return any(one.c_index is not None for side in sides for one in side.values())


def _marks(inputs: ReportInputs) -> list[Column]:
    return [Column(name, "mark") for name in inputs.cohort.layout.names]


def _unless(
    hidden: bool, value: float | None, pair: Sequence[float] | None = None, digits: int = 3
) -> Cell:
    return figure_cell(None if hidden else value, pair, digits)


def _of_model(one: TaskScores) -> list[Cell]:
    return [
        _unless(few(one), one.auc, one.auc_95),
        _unless(few(one), one.average_precision, one.average_precision_95),
        figure_cell(one.brier),
        _unless(few(one), one.calibration_slope, one.calibration_slope_95, 2),
    ]


def _difference(one: BaselineScores) -> list[Cell | str]:
    if not one.difference:
        return [DASH, DASH]
    mean, low, high = one.difference
    how = "better" if low > 0 else "worse" if high < 0 else "not detectably different"
    return [Cell(signed(mean), f"({signed(low, 2)} to {signed(high, 2)})"), how]
