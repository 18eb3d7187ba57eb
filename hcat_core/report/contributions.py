"""What each modality contributes to predictions, as figures and as numbers with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from hcat_core.evaluation.analysis import Intervals, Means
from hcat_core.metrics.fewest import FEWEST_TO_RESAMPLE
from hcat_core.report import cohort_figures, outcomes
from hcat_core.report.captions import drawn_patients
from hcat_core.report.formatting import listed, number
from hcat_core.report.inputs import ReportInputs, few
from hcat_core.report.other_tables import significant
from hcat_core.report.page_tables import DASH, Cell, PageTable, TableRow, numbers, texts
from hcat_core.report.svg import Captioned

FALLS = {"event": "the AUC", "class": "the macro AUC", "continuous": "R²"}


@dataclass(frozen=True)
class _Contributions:
    """One measure of some outcomes, by outcome and modality."""

    values: Means
    intervals: Intervals

    def of(self, names: Collection[str]) -> _Contributions:
        """Those of some outcomes."""
        values = {outcome: by for outcome, by in self.values.items() if outcome in names}
        return _Contributions(values, {outcome: self.intervals[outcome] for outcome in values})

    def cell(self, outcome: str, modality: str, form: Callable[[float], str] = number) -> Cell:
        """A value with its interval; a dash where there is none."""
        value = self.values.get(outcome, {}).get(modality)
        pair = self.intervals.get(outcome, {}).get(modality)
        if value is None:
            return Cell(DASH)
        return Cell(form(value), f"({form(pair[0])} to {form(pair[1])})" if pair else "")


def contribution_figures(inputs: ReportInputs) -> list[Captioned]:
    """Figures, with captions, of Shapley values and of leaving one modality out, where there are any."""
    values = _numbers(inputs)
    shapley, falls = _measures(inputs)
    rest = shapley.values.keys() - values
    lines = "Lines are 95 % intervals. " if inputs.resampling.resamples else ""
    bars = (
        ("shapley", "Mean absolute Shapley value", shapley.of(rest), "change of the probability",
         "The Shapley value is the change of a patient's predicted probability that is due to a modality. "
         "Shown is its mean size over the test patients who have the modality, computed exactly over all "
         f"subsets of modalities. {lines}{_of_classes(inputs)}{drawn_patients(inputs)}"),
        ("leave-one-out", "Loss when it is hidden", falls.of(rest), "fall of the AUC",
         "How much the AUC of test patients falls when the modality is hidden from all of them; below 0, "
         f"it rose. {lines}{outcomes.weighting(inputs)}"),
        ("shapley-numbers", "Mean absolute Shapley value", shapley.of(values), "change of the value",
         "The same of predicted numbers: the change of a patient's predicted value that is due to a "
         "modality, in the unit of the value."),
        ("leave-one-out-numbers", "Loss when it is hidden", falls.of(values), "fall of R²",
         "How much R² of test patients falls when the modality is hidden from all of them."),
    )  # fmt: skip
    return [
        Captioned(
            cohort_figures.bars_figure(name, title, one.values, one.intervals, label), caption.strip()
        )
        for name, title, one, label, caption in bars
        if any(one.values.values())
    ]


def contribution_tables(inputs: ReportInputs) -> list[PageTable]:
    """The same as numbers with their intervals: a row for each outcome and modality."""
    shapley, falls = _measures(inputs)
    values = _numbers(inputs)
    rows: list[TableRow] = []
    for outcome, by in shapley.values.items():
        form = significant if outcome in values else number
        for modality in by:
            rows.append(
                [outcome, modality, shapley.cell(outcome, modality, form), falls.cell(outcome, modality)]
            )
    if not any(any(by.values()) for by in shapley.values.values()):
        return []
    columns = [*texts("outcome", "modality"), *numbers("change of the prediction", "fall without it")]
    title = "Contributions as numbers, with 95 % intervals"
    return [PageTable(columns, rows, _caption(inputs), title).without_dashes()]


def _measures(inputs: ReportInputs) -> tuple[_Contributions, _Contributions]:
    """Shapley values, and falls of outcomes with patients enough for an AUC, or R2."""
    found = inputs.summary.analysis.modalities
    if found is None:
        return _Contributions({}, {}), _Contributions({}, {})
    others = inputs.summary.others.get("test", {})
    enough = {outcome for outcome, one in others.items() if not one.few}
    enough |= {task for task, one in inputs.summary.metrics["test"].items() if not few(one)}
    falls = _Contributions(found.leave_one_out, found.leave_one_out_95)
    return _Contributions(found.shapley, found.shapley_95), falls.of(enough)


def _numbers(inputs: ReportInputs) -> set[str]:
    return {outcome.name for outcome in inputs.cohort.layout.outcomes if outcome.kind == "continuous"}


def _of_classes(inputs: ReportInputs) -> str:
    """What is shown of an outcome of classes; empty without any."""
    if not inputs.cohort.layout.families:
        return ""
    return "Of classes it is half the sum over them: the probability that moves from one to another. "


def _caption(inputs: ReportInputs) -> str:
    """What the table of contributions shows, and how its intervals were computed."""
    kinds = {outcome.kind for outcome in inputs.cohort.layout.outcomes}
    falls = [words for kind, words in FALLS.items() if kind in kinds]
    unit = ", of a number in its unit" if "continuous" in kinds else ""
    text = (
        f"Change of the prediction: the mean size of Shapley values{unit}. Fall without it: of "
        f"{listed(falls)}."
    )
    resamples = inputs.resampling.resamples
    if not resamples:
        return f"{text} No intervals were computed: the recipe has evaluation.bootstrap = 0."
    units = "patients" if inputs.groups is None else "groups of records as wholes"
    return (
        f"{text} In brackets: 95 % intervals, of changes from {resamples} bootstrap samples of {units}, of "
        f"falls of paired differences. There are none from fewer than {FEWEST_TO_RESAMPLE} patients who "
        "have the modality."
    )
