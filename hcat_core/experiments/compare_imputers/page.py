"""``compare-imputers.html``: the verdict on imputers, their scores by modality and pattern, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hcat_core import __version__
from hcat_core.experiments.compare_imputers.results import BlockScores, ImputerResult, PatternScores
from hcat_core.experiments.compare_imputers.scores import LEAST_PATIENTS
from hcat_core.experiments.compare_imputers.settings import LIMIT, ORACLE
from hcat_core.experiments.compare_imputers.table import BASELINE, Estimate, Row
from hcat_core.experiments.compare_imputers.verdict import ImputerVerdict, is_imputer
from hcat_core.report.forest_plot import ForestRow, ForestScale, forest_figure
from hcat_core.report.formatting import counted, listed, number, signed
from hcat_core.report.page_tables import (
    Cell,
    PageTable,
    TableRow,
    figure_cell,
    numbers,
    share_cell,
    texts,
)
from hcat_core.report.page_template import render_page
from hcat_core.report.svg import Captioned
from hcat_core.text.numbers import percent

VERDICT_KINDS = {"an imputer is better": "good", "no detectable difference": "", "not known": "unknown"}
HIDDEN = {"mcar": "by chance", "mar": "by measured values", "mnar": "by their own values"}
HIDDEN_IN_WORDS = {
    "mcar": "by chance (MCAR)",
    "mar": "depending on measured values (MAR)",
    "mnar": "depending on their own values (MNAR)",
}
BRACKETS = " In brackets: 95 % intervals over seeds (Student's t)."
SCORES = ("r2", "crps", "coverage_90")
SECTIONS = (
    ("imputers", "Scores of each imputer"),
    ("modalities", "By modality"),
    ("patterns", "By what a patient has"),
    ("failures", "Where it fails"),
)


def imputer_page(
    results: Sequence[ImputerResult],
    rows: Sequence[Row],
    verdict: ImputerVerdict,
    cohort: str,
    date: str,
) -> str:
    """Render the page of a comparison of imputers.

    Args:
        results: of all jobs.
        rows: of the table.
        verdict: on them.
        cohort: its name.
        date: in words.
    """
    return render_page(
        "compare_imputers.html.j2",
        title=f"Comparison of {len({row.name for row in rows if is_imputer(row.name)})} imputers",
        facts=[("cohort", cohort), ("date", date), ("hcat", __version__)],
        sections=SECTIONS,
        verdict=verdict,
        verdict_kind=VERDICT_KINDS[verdict.word],
        limited=any(row.name == LIMIT for row in rows),
        compared_with_gaps=any(row.name == BASELINE for row in rows),
        figures=_figures(rows),
        tables=[_score_table(rows, title) for title in dict.fromkeys(map(_setting, rows))],
        modalities=_modality_table(results),
        patterns=_pattern_table(results, verdict.best),
        failed=_failures(rows),
    )


def _setting(row: Row) -> str:
    return f"{percent(row.missing_rate)} of blocks hidden {HIDDEN_IN_WORDS[row.mechanism]}"


def _figures(rows: Sequence[Row]) -> list[Captioned]:
    """R² and the coverage of 90 % intervals, by setting and imputer."""
    r2 = Captioned(
        forest_figure("r2", _forest(rows, "r2"), ForestScale("R² of hidden values", 0.0), "R² by imputer"),
        "R²: the share of the variance of hidden values that is explained; 0 is imputing the training "
        f"mean. {_hidden(rows)}Lines are 95 % intervals over random seeds.",
    )
    scale = ForestScale("share inside the 90 % interval", 0.9, share=True)
    coverage = Captioned(
        forest_figure("coverage", _forest(rows, "coverage_90"), scale, "coverage by imputer"),
        "The share of hidden values inside their 90 % intervals: to the left of the dashed line intervals "
        "are too narrow, to the right too wide.",
    )
    return [r2, coverage]


def _hidden(rows: Sequence[Row]) -> str:
    """What the headings of a figure mean, which name why values were hidden, and how many."""
    why = listed([HIDDEN_IN_WORDS[one] for one in dict.fromkeys(row.mechanism for row in rows)])
    return f"Headings say how many blocks were hidden, and why: {why}. "


def _forest(rows: Sequence[Row], score: str) -> list[ForestRow]:
    """Rows of a forest plot: a heading for each setting, below it the imputers that have the score."""
    forest: list[ForestRow] = []
    for mechanism, rate in dict.fromkeys((row.mechanism, row.missing_rate) for row in rows):
        group = [row for row in rows if (row.mechanism, row.missing_rate) == (mechanism, rate)]
        forest.append(ForestRow(f"{percent(rate)} {HIDDEN[mechanism]}"))
        for row in group:
            one = row.values[score]
            if one is not None:
                pair = None if np.isnan(one.low) else (one.low, one.high)
                forest.append(ForestRow(row.name, one.mean, pair, emphasised=is_imputer(row.name)))
    return forest


def _score_table(rows: Sequence[Row], setting: str) -> PageTable:
    shown = [row for row in rows if _setting(row) == setting]
    columns = [
        *texts("imputer"),
        *numbers("R²", "of what is possible", "CRPS", "50 % intervals", "90 % intervals", "fit, seconds"),
        *numbers("AUC", "AUC minus that of none"),
    ]
    cells: list[TableRow] = []
    for row in shown:
        v = row.values
        share = v["share_of_limit"]
        cells.append(
            [
                row.name,
                _estimate(v["r2"]),
                "–" if share is None or row.name in (ORACLE, LIMIT) else percent(share.mean),
                _estimate(v["crps"]),
                *(_share(v[name]) for name in ("coverage_50", "coverage_90")),
                "–" if v["fit_seconds"] is None else number(v["fit_seconds"].mean, 1),
                _estimate(v["auc"]),
                _difference(v["auc_over_none"]),
            ]
        )
    seeds = max((row.seeds for row in shown), default=0)
    caption = (
        f"{setting}: means over {counted(seeds, 'random seed')}, the highest R² first.{_intervals(shown)}"
    )
    return PageTable(columns, cells, caption).without_dashes()


def _estimate(one: Estimate | None) -> Cell:
    return Cell("–") if one is None else figure_cell(one.mean, _ends(one))


def _share(one: Estimate | None) -> Cell:
    ends = None if one is None else _ends(one)
    return share_cell(None if one is None else one.mean, ends and [min(max(end, 0.0), 1.0) for end in ends])


def _difference(one: Estimate | None) -> Cell:
    if one is None:
        return Cell("–")
    ends = _ends(one)
    return Cell(signed(one.mean), f"({signed(ends[0], 2)} to {signed(ends[1], 2)})" if ends else "")


def _ends(one: Estimate) -> tuple[float, float] | None:
    """The 95 % interval over seeds; None for one seed."""
    return None if np.isnan(one.low) else (one.low, one.high)


def _intervals(rows: Sequence[Row]) -> str:
    """What stands in brackets; nothing with a single seed."""
    return BRACKETS if any(one and _ends(one) for row in rows for one in row.values.values()) else ""


def _brackets(rows: Sequence[TableRow]) -> str:
    """The same of a finished table."""
    return BRACKETS if any(isinstance(one, Cell) and one.soft for row in rows for one in row) else ""


@dataclass(frozen=True)
class _OfSeed:
    """The scores of a modality, or of a pattern, with one seed and in one setting."""

    seed: int
    scores: BlockScores | PatternScores


def _modality_table(results: Sequence[ImputerResult]) -> PageTable:
    """R², CRPS and coverage of each modality, means over seeds and settings."""
    found: dict[tuple[str, str], list[_OfSeed]] = {}
    for one in results:
        if one.scores is not None:
            for modality, scores in one.scores.by_modality.items():
                found.setdefault((modality, one.name), []).append(_OfSeed(one.setting.seed, scores))
    rows: list[TableRow] = [
        [modality, name, *_means(scores)] for (modality, name), scores in sorted(found.items(), key=_order)
    ]
    return PageTable(
        [*texts("modality", "imputer"), *numbers("R²", "CRPS", "90 % intervals")],
        rows,
        f"Means over ways of hiding and random seeds, the lowest CRPS first.{_brackets(rows)}",
        title="Scores by modality and imputer",
    )


def _order(item: tuple[tuple[str, str], list[_OfSeed]]) -> tuple[str, float]:
    (modality, _), found = item
    known = [one.scores.crps for one in found if one.scores.crps is not None]
    return modality, float(np.mean(known)) if known else float("inf")


def _pattern_table(results: Sequence[ImputerResult], best: str) -> PageTable:
    """The best imputer's scores by what is measured of a patient."""
    found: dict[str, list[_OfSeed]] = {}
    patients: dict[str, int] = {}
    for one in results:
        if one.name == best and one.scores is not None:
            for pattern, scores in one.scores.by_pattern.items():
                found.setdefault(pattern, []).append(_OfSeed(one.setting.seed, scores))
                patients[pattern] = patients.get(pattern, 0) + scores.patients
    rows: list[TableRow] = [
        [pattern.replace("+", ", "), str(patients[pattern]), *_means(found[pattern])]
        for pattern in sorted(found, key=lambda one: -patients[one])
    ]
    if not rows:
        return PageTable(
            [], [], f"No combination of modalities is shared by {LEAST_PATIENTS} scored patients."
        )
    return PageTable(
        [*texts("measured"), *numbers("patients, over all seeds", "R²", "CRPS", "90 % intervals")],
        rows,
        f"{best}: scores of what is hidden, by the modalities that are measured, of combinations that "
        f"{LEAST_PATIENTS} scored patients have.{_brackets(rows)}",
        title=f"Scores of {best} by what a patient has",
    )


def _means(found: Sequence[_OfSeed]) -> list[Cell]:
    """Means of ``SCORES`` over settings and seeds, with intervals over seeds."""
    cells = []
    for name in SCORES:
        by_seed: dict[int, list[float]] = {}
        for one in found:
            value = getattr(one.scores, name)
            if value is not None:
                by_seed.setdefault(one.seed, []).append(value)
        form = _share if name == "coverage_90" else _estimate
        cells.append(form(Estimate.of([float(np.mean(values)) for values in by_seed.values()])))
    return cells


def _failures(rows: Sequence[Row]) -> PageTable | None:
    failed: Mapping[str, None] = dict.fromkeys(
        f"{row.name}\0{_setting(row)}\0{error}" for row in rows for error in row.errors
    )
    if not failed:
        return None
    return PageTable(texts("imputer", "setting", "reason"), [one.split("\0") for one in failed])
