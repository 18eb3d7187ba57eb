"""Tables of pages on outcomes of classes and on numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from hcat_core.evaluation.cohort_counts import ClassCounts, OtherCounts
from hcat_core.evaluation.other_baselines import OtherBaseline
from hcat_core.evaluation.other_outcomes import ClassScores, OtherScores
from hcat_core.report.formatting import signed
from hcat_core.report.inputs import few
from hcat_core.report.page_tables import (
    DASH,
    Cell,
    Column,
    PageTable,
    TableRow,
    figure_cell,
    numbers,
    share_cell,
    texts,
)
from hcat_core.text.numbers import quantity

Form = Literal["ranking", "score", "ratio", "share", "quantity"]
"""How a score is shown: a ranking is hidden of few patients, a ratio has two decimals, a share is in
per cent, a quantity has three significant digits."""

CLASS_MEASURES: Sequence[tuple[str, Form, str]] = (
    ("macro AUC", "ranking", "auc"),
    ("log loss", "score", "log_loss"),
    ("Brier score", "score", "brier"),
    ("accuracy", "share", "accuracy"),
    ("balanced accuracy", "share", "balanced_accuracy"),
    ("calibration slope", "ratio", "calibration_slope"),
)
VALUE_MEASURES: Sequence[tuple[str, Form, str]] = (
    ("R²", "ranking", "r2"),
    ("mean absolute error", "quantity", "mae"),
    ("root mean squared error", "quantity", "rmse"),
    ("rank correlation", "ratio", "spearman"),
    ("share in the 90 % interval", "share", "coverage_90"),
    ("width of the 90 % interval", "quantity", "width_90"),
)
BRIEF = ("auc", "log_loss", "accuracy", "r2", "mae", "coverage_90")  # those of a table of many rows


def count_table(counts: Mapping[str, OtherCounts], caption: str) -> PageTable:
    """Patients by class, or how the values are spread, one row for each side of the split."""
    first = next(iter(counts.values()))
    headings = (
        [*first.classes, "unknown"]
        if isinstance(first, ClassCounts)
        else ["known", "unknown", "mean", "standard deviation", "lowest", "highest"]
    )
    rows: list[TableRow] = [[side, *_count_cells(one)] for side, one in counts.items()]
    return PageTable([*texts("patients"), *numbers(*headings)], rows, caption)


def score_table(sides: Mapping[str, OtherScores], caption: str) -> PageTable:
    """Every score of one outcome, one column for each group of patients.

    Args:
        sides: scores by the name of the group; at least one.
        caption: of the table.
    """
    some = next(iter(sides.values()))
    rows: list[TableRow] = [["patients", *(str(one.patients) for one in sides.values())]]
    rows += [
        [heading, *(_cell(one, form, key) for one in sides.values())]
        for heading, form, key in _measures(some)
    ]
    return PageTable([*texts("score"), *numbers(*sides)], rows, caption)


def brief_table(
    first: Sequence[Column], rows: Sequence[tuple[Sequence[str], OtherScores]], caption: str, title: str
) -> PageTable:
    """The main scores of one outcome, one row for each group of patients that is large enough for scores.

    Args:
        first: columns that name the group.
        rows: their cells, and the scores of the group; at least one.
        caption: of the table.
        title: by which it is folded.
    """
    measures = [one for one in _measures(rows[0][1]) if one[2] in BRIEF]
    cells: list[TableRow] = [
        [*names, str(one.patients), *(_cell(one, form, key) for _, form, key in measures)]
        for names, one in rows
        if not one.few
    ]
    headings = ("patients", *(heading for heading, _, _ in measures))
    return PageTable([*first, *numbers(*headings)], cells, caption, title)


def class_table(scores: ClassScores, caption: str) -> PageTable:
    """Scores of each class against all others; a dash where there are too few patients."""
    rows: list[TableRow] = []
    for place, (name, one) in enumerate(scores.by_class.items()):
        own = sum(scores.confusion[place])
        called, right = sum(row[place] for row in scores.confusion), scores.confusion[place][place]
        shares = (
            one.mean_predicted,
            one.observed,
            right / own if own else None,
            right / called if called else None,
        )
        rows.append(
            [
                name,
                str(one.events),
                figure_cell(None if few(one) else one.auc, one.auc_95),
                figure_cell(one.calibration_slope, one.calibration_slope_95, 2),
                *map(share_cell, shares),
            ]
        )
    headings = (
        "patients of it",
        "AUC",
        "calibration slope",
        "predicted",
        "observed",
        "recognised",
        "right when predicted",
    )
    return PageTable([*texts("class"), *numbers(*headings)], rows, caption)


def model_table(own: OtherScores, others: Mapping[str, OtherBaseline], caption: str) -> PageTable:
    """This model beside the simple ones."""
    (measure, *_), (error, *_) = measures = _measures(own)[:2]

    def cells(one: OtherScores) -> list[Cell]:
        return [_cell(one, form, key) for _, form, key in measures]

    rows: list[TableRow] = [[Cell("this model", strong=True), *cells(own), DASH, DASH]]
    rows += [[name, *cells(one.scores), *_difference(one.difference)] for name, one in others.items()]
    headings = (measure, error, f"difference of {measure}")
    return PageTable([*texts("model"), *numbers(*headings), *texts("this model is")], rows, caption)


def significant(value: float | None) -> str:
    """A number of three significant digits; a dash for None."""
    return DASH if value is None else quantity(value)


def _measures(scores: OtherScores) -> list[tuple[str, Form, str]]:
    """Headings of the scores, how they are shown, and the fields that hold them."""
    if isinstance(scores, ClassScores):
        return list(CLASS_MEASURES)
    unit = f" ({scores.unit})" if scores.unit else ""
    return [
        (f"{name}{unit if form == 'quantity' else ''}", form, key) for name, form, key in VALUE_MEASURES
    ]


def _cell(scores: OtherScores, form: Form, key: str) -> Cell:
    fields = vars(scores)
    value, pair = fields[key], fields.get(f"{key}_95")
    if form == "quantity":
        ends = f"({significant(pair[0])} to {significant(pair[1])})" if pair and value is not None else ""
        return Cell(significant(value), ends)
    if form == "share":
        return share_cell(value, pair)
    hidden = form == "ranking" and scores.few
    return figure_cell(None if hidden else value, pair, 2 if form == "ratio" else 3)


def _count_cells(counts: OtherCounts) -> list[str]:
    if isinstance(counts, ClassCounts):
        return [str(number) for number in (*counts.classes.values(), counts.unknown)]
    described = (counts.mean, counts.sd, counts.lowest, counts.highest)
    return [str(counts.known), str(counts.unknown), *(significant(value) for value in described)]


def _difference(difference: Sequence[float] | None) -> list[Cell]:
    if not difference:
        return [Cell(DASH), Cell(DASH)]
    mean, low, high = difference
    word = "better" if low > 0 else "worse" if high < 0 else "not detectably different"
    return [Cell(signed(mean), f"({signed(low, 2)} to {signed(high, 2)})"), Cell(word)]
