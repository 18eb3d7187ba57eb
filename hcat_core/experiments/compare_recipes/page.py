"""``compare.html``: the verdict on recipes, their differences, their scores, and where they fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hcat_core.experiments.compare_recipes.differences import ALL_MODALITIES, Difference
from hcat_core.experiments.compare_recipes.document import Findings, difference_notes
from hcat_core.experiments.compare_recipes.failures import failed_folds, worst_folds
from hcat_core.experiments.compare_recipes.results import FoldResult
from hcat_core.report.forest_plot import ForestRow, ForestScale, forest_figure
from hcat_core.report.formatting import number
from hcat_core.report.page_facts import PageFacts
from hcat_core.report.page_tables import Cell, PageTable, TableRow, figure_cell, numbers, texts
from hcat_core.report.page_template import render_page
from hcat_core.report.svg import Captioned

VERDICT_KINDS = {"a recipe is better": "good", "no detectable difference": "", "not known": "unknown"}
SCORES = (
    ("AUC ± SD", "auc"),
    ("average precision", "average_precision"),
    ("Uno's C", "c_index"),
    ("Brier score", "brier"),
    ("integrated Brier score", "integrated_brier"),
    ("F1", "f1"),
)
SECTIONS = (
    ("differences", "Differences between recipes"),
    ("scores", "Scores of each recipe"),
    ("calibration", "Are the probabilities right?"),
    ("failures", "Where it fails"),
)


def comparison_page(
    document: Mapping[str, Any],
    results: Sequence[FoldResult],
    found: Findings,
    facts: PageFacts,
) -> str:
    """Render the page of a comparison of recipes.

    Args:
        document: that of ``comparison.json``.
        results: of all folds.
        found: differences to the first recipe, and the verdict.
        facts: what the page is about.
    """
    verdict, differences = found.verdict, found.differences
    tasks = [task for task in facts.layout.task_names if any(task in r.tasks for r in results)]
    return render_page(
        "compare.html.j2",
        title=f"Comparison of {len(document['recipes'])} recipes",
        facts=facts.pairs(),
        sections=SECTIONS,
        verdict=verdict,
        verdict_kind=VERDICT_KINDS[verdict.word],
        forests=_forests(differences),
        differences=_difference_table(differences),
        scores=[_score_table(document, task) for task in tasks],
        calibration=[_calibration_table(document, task) for task in tasks],
        falls=[table for task in tasks if (table := _fall_table(document, task, facts.layout.names))],
        few=sorted(found.few),
        notes=difference_notes(differences),
        failed=failed_folds(results),
        worst=[table for task in tasks if (table := worst_folds(results, task))],
    )


def _forests(differences: Sequence[Difference]) -> list[Captioned]:
    """One forest plot for all modalities, and one for two hidden."""
    figures: list[Captioned] = []
    for what in dict.fromkeys(one.what for one in differences):
        rows: list[ForestRow] = []
        block = [one for one in differences if one.what == what]
        for task in dict.fromkeys(one.task for one in block):
            rows.append(ForestRow(task))
            rows += [_row(one) for one in block if one.task == task]
        first = block[0].other
        scale = ForestScale(f"AUC minus that of {first}", reference=0.0, signed=True, digits=3)
        whom = "With all modalities that a patient has" if what == ALL_MODALITIES else (
            "With two modalities hidden from every patient, the mean over all pairs"
        )  # fmt: skip
        caption = (
            f"{whom}. To the right of the dashed line a recipe ranks patients better than {first}, to the "
            "left worse. Lines are 95 % intervals of Nadeau and Bengio, which allow for folds that share "
            "training patients; each is that of one difference alone. Coloured: found to differ."
        )
        svg = forest_figure(f"forest{len(figures)}", rows, scale, f"Differences of the AUC, {what}")
        figures.append(Captioned(svg, caption))
    return figures


def _row(one: Difference) -> ForestRow:
    pair = None if one.low is None or one.high is None else (one.low, one.high)
    return ForestRow(one.name, one.mean, pair, emphasised=one.verdict in ("better", "worse"))


def _difference_table(differences: Sequence[Difference]) -> PageTable:
    rows: list[TableRow] = [
        [one.task, one.what, one.name, _signed(one), number(one.p), number(one.p_adjusted), one.verdict]
        for one in differences
    ]
    first = differences[0].other if differences else ""
    columns = [
        *texts("task", "modalities", "recipe"), *numbers("difference (95 %)", "p", "p adjusted"),
        *texts("verdict"),
    ]  # fmt: skip
    caption = (
        f"AUC minus that of {first} on the same folds. The adjusted p value allows for the number of "
        "recipes that are tested in the same task, with the same modalities (Holm)."
    )
    return PageTable(columns, rows, caption, title="All differences as numbers")


def _signed(one: Difference) -> Cell:
    if one.low is None or one.high is None:
        return Cell(f"{one.mean:+.3f}")
    return Cell(f"{one.mean:+.3f}", f"({one.low:+.3f} to {one.high:+.3f})")


def _score_table(document: Mapping[str, Any], task: str) -> PageTable:
    few = task in document["too_few"]
    rows: list[TableRow] = []
    for name, scores in _of_task(document, task):
        cells = [_spread(scores[key], few and key != "brier") for _, key in SCORES]
        hidden = scores["auc_two_hidden"]
        rows.append([name, *cells, figure_cell(None if few else hidden)])
    columns = [*texts("recipe"), *numbers(*(heading for heading, _ in SCORES), "AUC, two hidden")]
    weighted = ", weighted for censoring" if task in document["weighted_for_censoring"] else ""
    return PageTable(
        columns, rows, f"{task}: means over test folds{weighted}, the highest AUC first."
    ).without_dashes()


def _calibration_table(document: Mapping[str, Any], task: str) -> PageTable:
    rows: list[TableRow] = []
    for name, scores in _of_task(document, task):
        pooled = scores["pooled_calibration"]
        slope = figure_cell(pooled["slope"], pooled["slope_95"], 2)
        rows.append([name, slope, figure_cell(pooled["intercept"], pooled["intercept_95"], 2)])
    return PageTable(
        [*texts("recipe"), *numbers("slope (95 %)", "intercept (95 %)")],
        rows,
        f"{task}: predictions of all test folds together.",
    )


def _fall_table(document: Mapping[str, Any], task: str, modalities: Sequence[str]) -> PageTable | None:
    """How much the AUC falls without each modality; None where that was not measured."""
    if task in document["too_few"]:
        return None
    found = [(name, scores["auc_fall_without"]) for name, scores in _of_task(document, task)]
    if not any(falls for _, falls in found):
        return None
    rows: list[TableRow] = [
        [name, *(figure_cell(falls.get(modality)) for modality in modalities)] for name, falls in found
    ]
    caption = (
        f"{task}: by how much the mean AUC falls when one modality is hidden from every patient; below 0, "
        "it rose."
    )
    return PageTable([*texts("recipe"), *numbers(*modalities)], rows, caption)


def _of_task(document: Mapping[str, Any], task: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Recipes with their scores, the highest mean AUC first."""
    scored = [(name, one[task]) for name, one in document["recipes"].items() if task in one]
    yield from sorted(scored, key=lambda item: -(item[1]["auc"] or {"mean": -1.0})["mean"])


def _spread(spread: Mapping[str, float] | None, hidden: bool) -> Cell:
    if spread is None or hidden:
        return Cell("–")
    sd = spread["sd"]
    return Cell(number(spread["mean"]), "" if sd is None else f"± {sd:.3f}")
