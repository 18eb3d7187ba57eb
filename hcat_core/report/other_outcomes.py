"""Sections of the report on outcomes that are no events: one on each outcome of classes or number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hcat_core.data.splits import SPLITS
from hcat_core.evaluation.headline import HEADLINES
from hcat_core.evaluation.other_outcomes import ClassScores, OtherScores
from hcat_core.layout import Outcome
from hcat_core.report import other_captions as captions
from hcat_core.report.inputs import ReportInputs
from hcat_core.report.other_tables import brief_table, class_table, count_table, model_table, score_table
from hcat_core.report.outcome_figures import PatientGroup, outcome_figures
from hcat_core.report.page_tables import Column, PageTable, TableRow, figure_cell, numbers
from hcat_core.report.page_template import render_part
from hcat_core.report.svg import Captioned

SUBSETS_SHOWN = 31


@dataclass(frozen=True)
class OutcomeSection:
    """A section on one outcome.

    Attributes:
        anchor: its place on the page.
        title: of the section.
        none: why performance was not measured; empty where it was.
        first: tables above the figures.
        figures: of the patients, where there are enough of them.
        rest: tables below the figures.
    """

    anchor: str
    title: str
    none: str
    first: Sequence[PageTable]
    figures: Sequence[Captioned]
    rest: Sequence[PageTable] = ()

    @property
    def html(self) -> Markup:
        """The section as a part of a page."""
        return render_part("other_outcomes.html.j2", one=self)


def outcome_title(outcome: Outcome) -> str:
    """What the section on an outcome is called."""
    return f"{outcome.name}: {'classes' if outcome.kind == 'class' else 'a number'}"


def other_sections(inputs: ReportInputs) -> list[OutcomeSection]:
    """The section of each outcome that is no event, in the order of the recipe."""
    return [
        _section(inputs, outcome, f"outcome{place}")
        for place, outcome in enumerate(inputs.cohort.layout.outcomes)
        if outcome.kind != "event"
    ]


def _section(inputs: ReportInputs, outcome: Outcome, anchor: str) -> OutcomeSection:
    sides, rows = inputs.summary.others, inputs.split.test
    test = sides["test"][outcome.name]
    scored = {side: one for side in SPLITS if (one := sides[side][outcome.name]).patients}
    group = PatientGroup(
        inputs.cohort[rows],
        inputs.predicted[rows.numpy()],
        inputs.targets[inputs.split.train],
        int(inputs.summary.recipe["seed"]),
    )
    first = [_counts(inputs, outcome)]
    first += [score_table(scored, captions.scores(inputs, test))] if scored else []
    return OutcomeSection(
        anchor,
        outcome_title(outcome),
        captions.too_few(outcome.name, test) if test.few else "",
        first,
        outcome_figures(group, outcome, test, anchor),
        [table for table in _closer_look(inputs, outcome, test) if table is not None],
    )


def _counts(inputs: ReportInputs, outcome: Outcome) -> PageTable:
    data, unit = inputs.summary.data, inputs.cohort.layout.tasks[outcome.columns[0]].unit
    counts = {"all": data.others[outcome.name]}
    counts |= {s: data.split[s].others[outcome.name] for s in SPLITS if data.split[s].patients}
    return count_table(counts, captions.counts(outcome.kind == "class", unit))


def _closer_look(inputs: ReportInputs, outcome: Outcome, test: OtherScores) -> list[PageTable | None]:
    """Tables by class, model, missingness pattern and subset; None for those that there are not."""
    name, analysis = outcome.name, inputs.summary.analysis
    by_class = isinstance(test, ClassScores) and test.patients
    models = {
        model: scored[name] for model, scored in (analysis.other_baselines or {}).items() if name in scored
    }
    patterns = [
        (["●" if has else "○" for has in one.present], one.others[name]) for one in analysis.patterns or ()
    ]
    return [
        class_table(test, captions.by_class()) if by_class and isinstance(test, ClassScores) else None,
        model_table(test, models, captions.baselines(test)) if models else None,
        brief_table(
            _marks(inputs),
            patterns,
            captions.patterns([one for _, one in patterns]),
            "Scores by missingness pattern",
        )
        if patterns
        else None,
        None if test.few else _subsets(inputs, outcome, test),
    ]


def _subsets(inputs: ReportInputs, outcome: Outcome, test: OtherScores) -> PageTable | None:
    """The main score with each subset of modalities; None where that was not measured."""
    found, name = inputs.summary.analysis.modalities, outcome.name
    if found is None:
        return None
    measure = HEADLINES[outcome.kind].replace("R2", "R²")
    rows: list[TableRow] = [
        [
            *("●" if modality in one.kept else "○" for modality in inputs.cohort.layout.names),
            figure_cell(one.tasks[name], one.intervals[name]),
        ]
        for one in found.subsets[:SUBSETS_SHOWN]
    ]
    title = f"{measure[:1].upper()}{measure[1:]} when only some modalities are available"
    return PageTable([*_marks(inputs), *numbers(measure)], rows, captions.subsets(inputs, test), title)


def _marks(inputs: ReportInputs) -> list[Column]:
    return [Column(name, "mark") for name in inputs.cohort.layout.names]
