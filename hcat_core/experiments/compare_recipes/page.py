"""``compare.html``: the verdict on recipes, their differences, their scores, and where they fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hcat_core.experiments.compare_recipes.differences import ALL_MODALITIES, Difference
from hcat_core.experiments.compare_recipes.document import Findings, difference_notes
from hcat_core.experiments.compare_recipes.failures import failed_folds, worst_folds
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.experiments.compare_recipes.score_tables import (
    calibration_table,
    fall_table,
    score_table,
    scored_outcomes,
)
from hcat_core.layout import TaskKind
from hcat_core.report.forest_plot import ForestRow, ForestScale, forest_figure
from hcat_core.report.formatting import listed, number, signed
from hcat_core.report.page_facts import PageFacts
from hcat_core.report.page_tables import DASH, Cell, PageTable, TableRow, numbers, texts
from hcat_core.report.page_template import render_page
from hcat_core.report.svg import Captioned

VERDICT_KINDS = {"a recipe is better": "good", "no detectable difference": "", "not known": "unknown"}
DIFFERENCE = {"AUC": ("AUC", "ranks patients"), "R2": ("R²", "predicts values")}
KINDS: Sequence[TaskKind] = ("event", "class", "continuous")


def comparison_page(
    document: Mapping[str, Any],
    results: Sequence[FoldResult],
    found: Findings,
    facts: PageFacts,
    warnings: Sequence[str] = (),
) -> str:
    """Render the page of a comparison of recipes.

    Args:
        document: that of ``comparison.json``.
        results: of all folds.
        found: differences to the first recipe, and the verdict.
        facts: what the page is about.
        warnings: of other cohorts in the recipes.
    """
    verdict, differences = found.verdict, [*found.differences, *found.of_numbers]
    scored = scored_outcomes(document, facts.layout)
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in scored)]
    return render_page(
        "compare.html.j2",
        title=f"Comparison of {len(document['recipes'])} recipes",
        facts=facts.pairs(),
        sections=_sections(kinds),
        kinds=kinds,
        warnings=warnings,
        verdict=verdict,
        verdict_kind=VERDICT_KINDS[verdict.word],
        forests=_forests(differences),
        differences=_difference_table(differences),
        scores=[score_table(one) for one in scored],
        calibration=[calibration_table(one) for one in scored],
        falls=[table for one in scored if (table := fall_table(one, facts.layout.names))],
        few=[one for one in scored if one.few],
        notes=difference_notes(differences),
        failed=failed_folds(results),
        worst=[table for one in scored if (table := worst_folds(results, one.name))],
    )


def _sections(kinds: Sequence[TaskKind]) -> list[tuple[str, str]]:
    """Anchors and names, in the order of the page."""
    what = ["probabilities"] if {"event", "class"} & set(kinds) else []
    what += ["intervals"] if "continuous" in kinds else []
    return [
        ("differences", "Differences between recipes"),
        ("scores", "Scores of each recipe"),
        ("calibration", f"Are the {listed(what or ['probabilities'])} right?"),
        ("failures", "Where it fails"),
    ]


def _forests(differences: Sequence[Difference]) -> list[Captioned]:
    """For each score one forest plot for all modalities, and one for two hidden."""
    figures: list[Captioned] = []
    for what, measure in dict.fromkeys((one.what, one.measure) for one in differences):
        rows: list[ForestRow] = []
        block = [one for one in differences if (one.what, one.measure) == (what, measure)]
        for task in dict.fromkeys(one.task for one in block):
            rows.append(ForestRow(task))
            rows += [_row(one) for one in block if one.task == task and one.shown]
        first, (score, does) = block[0].other, DIFFERENCE[measure]
        scale = ForestScale(f"{score} minus that of {first}", reference=0.0, signed=True, digits=3)
        whom = "With all modalities that a patient has" if what == ALL_MODALITIES else (
            "With two modalities hidden from every patient, the mean over all pairs"
        )  # fmt: skip
        caption = (
            f"{whom}. To the right of the dashed line a recipe {does} better than {first}, to the "
            f"left worse. {_intervals(block)}"
        )
        svg = forest_figure(f"forest{len(figures)}", rows, scale, f"Differences of the {score}, {what}")
        figures.append(Captioned(svg, caption))
    return figures


def _intervals(block: Sequence[Difference]) -> str:
    """What the lines of a forest plot are, or why there are none."""
    if any(one.p is not None for one in block):
        return (
            "Lines are 95 % intervals of Nadeau and Bengio, which allow for folds that share training "
            "patients; each is that of one difference alone. Coloured: found to differ."
        )
    return f"There are no intervals: {block[0].verdict}."


def _row(one: Difference) -> ForestRow:
    pair = None if one.low is None or one.high is None else (one.low, one.high)
    return ForestRow(one.name, one.mean, pair, emphasised=one.verdict in ("better", "worse"))


def _difference_table(differences: Sequence[Difference]) -> PageTable:
    rows: list[TableRow] = [
        [
            one.task,
            DIFFERENCE[one.measure][0],
            one.what,
            one.name,
            _signed(one),
            number(one.p),
            number(one.p_adjusted),
            one.verdict,
        ]
        for one in differences
    ]
    first = differences[0].other if differences else ""
    difference = "difference (95 %)" if any(one.p is not None for one in differences) else "difference"
    columns = [
        *texts("task", "score", "modalities", "recipe"), *numbers(difference, "p", "p adjusted"),
        *texts("verdict"),
    ]  # fmt: skip
    caption = f"The score minus that of {first} on the same folds."
    if any(one.p is not None for one in differences):
        caption += (
            " The adjusted p value allows for the number of recipes that are tested in the same task, with "
            "the same modalities (Holm)."
        )
    return PageTable(columns, rows, caption, title="All differences as numbers").without_dashes()


def _signed(one: Difference) -> Cell:
    if not one.shown:
        return Cell(DASH)
    if one.low is None or one.high is None:
        return Cell(signed(one.mean))
    return Cell(signed(one.mean), f"({signed(one.low)} to {signed(one.high)})")
