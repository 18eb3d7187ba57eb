"""Sections of the report on outcomes that are no events: one on each outcome of classes or number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hcat_core.cohort import Outcome
from hcat_core.data.splits import SPLITS
from hcat_core.evaluation.cohort_counts import ClassCounts, OtherCounts
from hcat_core.evaluation.headline import HEADLINES
from hcat_core.evaluation.other_outcomes import ClassScores, OtherScores, classes_of, values_of
from hcat_core.report import other_captions as captions
from hcat_core.report import performance_figures
from hcat_core.report.formatting import interval, number
from hcat_core.report.inputs import ReportInputs, few
from hcat_core.report.other_figures import confusion_figure, predicted_observed_figure
from hcat_core.report.svg import Captioned
from hcat_core.text.quoting import printable

SUBSETS_SHOWN = 31
CLASS_MEASURES = [
    ("macro AUC", "ranking", "auc"),
    ("log loss", "score", "log_loss"),
    ("Brier score", "score", "brier"),
    ("accuracy", "share", "accuracy"),
    ("balanced accuracy", "share", "balanced_accuracy"),
    ("calibration slope", "share", "calibration_slope"),
]
VALUE_MEASURES = [
    ("R²", "ranking", "r2"),
    ("mean absolute error", "quantity", "mae"),
    ("root mean squared error", "quantity", "rmse"),
    ("rank correlation", "share", "spearman"),
    ("share in the 90 % interval", "share", "coverage_90"),
    ("width of the 90 % interval", "quantity", "width_90"),
]


@dataclass(frozen=True)
class ClassRow:
    """One class of the table by class; None where a score is not defined, or of too few patients."""

    name: str
    patients: int
    auc: float | None
    auc_95: tuple[float, float] | None
    slope: float | None
    slope_95: tuple[float, float] | None
    predicted: float | None
    observed: float | None
    recognised: float | None
    right: float | None


@dataclass(frozen=True)
class ModelRow:
    """One model of the comparison with simple ones; ``own`` is that of the run, which has no difference."""

    name: str
    scores: OtherScores
    difference: Sequence[float] | None
    own: bool


@dataclass(frozen=True)
class OutcomeSection:
    """A section on one outcome: its place on the page, its title and its HTML."""

    anchor: str
    title: str
    html: Markup


def other_sections(inputs: ReportInputs) -> list[OutcomeSection]:
    """The section of each outcome that is no event, in the order of the recipe."""
    sections = []
    for place, outcome in enumerate(inputs.cohort.layout.outcomes):
        if outcome.kind != "event":
            section = _Section(inputs, outcome, f"outcome{place}")
            html = _environment().get_template("other_outcomes.html.j2").render(one=section)
            sections.append(OutcomeSection(section.anchor, section.title, Markup(html)))
    return sections


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hcat_core.report", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_visible,
    )  # fmt: skip
    environment.filters |= {"number": number, "interval": interval, "significant": significant}
    return environment


def _visible(value: object) -> object:
    """Spell out invisible characters in names, which would reorder the text around them."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def significant(value: object) -> str:
    """A number of three significant digits; a dash for None."""
    return f"{value:.3g}" if isinstance(value, int | float) else "–"


class _Section:
    """What the template shows of one outcome."""

    def __init__(self, inputs: ReportInputs, outcome: Outcome, anchor: str) -> None:
        self.inputs, self.outcome, self.anchor = inputs, outcome, anchor
        self.classes = outcome.kind == "class"
        self.measure = HEADLINES[outcome.kind].replace("R2", "R²")
        self.title = f"{outcome.name}: {'classes' if self.classes else 'a number'}"
        unit = inputs.cohort.layout.tasks[outcome.columns[0]].unit
        self.unit, self.in_unit = unit, f" ({unit})" if unit else ""
        self.modalities = inputs.cohort.layout.names
        sides = inputs.summary.others
        self.test: OtherScores = sides["test"][outcome.name]
        self.scores = [(s, sides[s][outcome.name]) for s in SPLITS if sides[s][outcome.name].patients]
        self.none = captions.too_few(outcome.name, self.test) if self.test.few else ""
        self.scores_caption = captions.scores(inputs, self.test)
        self.by_class_caption = captions.by_class()
        self.baselines_caption = captions.baselines(self.test)
        self.patterns_caption = captions.patterns()
        self.subsets_caption = captions.subsets(inputs, self.test)
        self.counts_caption = captions.counts(self.classes, unit)

    @property
    def measures(self) -> list[tuple[str, str, str]]:
        """Names of the scores, how they are shown, and the fields that hold them."""
        if self.classes:
            return CLASS_MEASURES
        in_unit = {"mae", "rmse", "width_90"}
        return [
            (n + (self.in_unit if key in in_unit else ""), kind, key) for n, kind, key in VALUE_MEASURES
        ]

    @property
    def brief_measures(self) -> list[str]:
        """Those of a table of many rows."""
        last = (
            ("log loss", "accuracy")
            if self.classes
            else (f"mean absolute error{self.in_unit}", "in 90 % interval")
        )
        return [self.measure, *last]

    @property
    def counts_head(self) -> list[str]:
        """Headings of the table of counts."""
        if self.classes:
            columns = self.outcome.columns
            return [*(self.inputs.cohort.layout.tasks[c].class_name for c in columns), "unknown"]
        return ["known", "unknown", "mean", "standard deviation", "lowest", "highest"]

    @property
    def counts(self) -> list[tuple[str, list[str]]]:
        """Rows of the table of counts: all patients, and each side."""
        data, name = self.inputs.summary.data, self.outcome.name
        sides = [(side, data.split[side].others[name]) for side in SPLITS if data.split[side].patients]
        return [(side, _count_cells(counts)) for side, counts in [("all", data.others[name]), *sides]]

    @property
    def figures(self) -> list[Captioned]:
        """Of test patients, where there are enough of them."""
        if self.test.few:
            return []
        inputs, test = self.inputs, self.inputs.split.test
        cohort, predicted = inputs.cohort[test], inputs.predicted[test.numpy()]
        if not isinstance(self.test, ClassScores):
            known = values_of(cohort, predicted, self.outcome, inputs.targets[inputs.split.train])
            seed = int(inputs.summary.recipe["seed"])
            svg = predicted_observed_figure(self.anchor, self.outcome.name, self.unit, known, seed)
            return [Captioned(svg, captions.predicted_observed(known))]
        known_classes = classes_of(cohort, predicted, self.outcome)
        svg = confusion_figure(self.anchor, self.outcome.name, self.counts_head[:-1], self.test.confusion)
        figures = [Captioned(svg, captions.confusion(len(known_classes.label)))]
        for column in self.outcome.columns:
            of_class, name = (
                inputs.known_test_outcomes(column),
                inputs.cohort.layout.tasks[column].class_name,
            )
            if not of_class.few:
                svg = performance_figures.calibration_figure(f"{self.anchor}-{column}", name, of_class)
                figures.append(Captioned(svg, captions.class_calibration(name, of_class)))
        return figures

    @property
    def by_class(self) -> list[ClassRow]:
        """Scores of each class against the others, on test patients."""
        if not isinstance(self.test, ClassScores) or not self.test.patients:
            return []
        return [_class_row(self.test, place, name) for place, name in enumerate(self.test.by_class)]

    @property
    def baselines(self) -> list[ModelRow]:
        """This model and the simple ones; nothing without a simple model."""
        found, name = self.inputs.summary.analysis.other_baselines or {}, self.outcome.name
        rows = [
            ModelRow(model, scored[name].scores, scored[name].difference, own=False)
            for model, scored in found.items()
            if name in scored
        ]
        return [ModelRow("this model", self.test, None, own=True), *rows] if rows else []

    @property
    def patterns(self) -> list[tuple[Sequence[bool], OtherScores]]:
        """Scores by missingness pattern."""
        found = self.inputs.summary.analysis.patterns or ()
        return [(one.present, one.others[self.outcome.name]) for one in found]

    @property
    def subsets(self) -> list[tuple[list[bool], float | None, tuple[float, float] | None]]:
        """The measure with each subset of modalities, where there are enough patients."""
        found = self.inputs.summary.analysis.modalities
        if found is None or self.test.few:
            return []
        name = self.outcome.name
        return [
            ([m in one.kept for m in self.modalities], one.tasks[name], one.intervals[name])
            for one in found.subsets[:SUBSETS_SHOWN]
        ]


def _count_cells(counts: OtherCounts) -> list[str]:
    if isinstance(counts, ClassCounts):
        return [str(number) for number in (*counts.classes.values(), counts.unknown)]
    described = (counts.mean, counts.sd, counts.lowest, counts.highest)
    return [str(counts.known), str(counts.unknown), *(significant(value) for value in described)]


def _class_row(scores: ClassScores, place: int, name: str) -> ClassRow:
    one, too_few = scores.by_class[name], few(scores.by_class[name])
    own = sum(scores.confusion[place])
    called = sum(row[place] for row in scores.confusion)
    right = scores.confusion[place][place]
    return ClassRow(
        name=name,
        patients=one.events,
        auc=None if too_few else one.auc,
        auc_95=one.auc_95,
        slope=one.calibration_slope,
        slope_95=one.calibration_slope_95,
        predicted=one.mean_predicted,
        observed=one.observed,
        recognised=right / own if own else None,
        right=right / called if called else None,
    )
