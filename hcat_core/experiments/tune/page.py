"""``tune.html``: what tuning is worth, what was chosen, and every trial."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcat_core.experiments.tune.page_figures import history_figure, importance_figure
from hcat_core.experiments.tune.results import (
    FinishedSearch,
    OuterScore,
    Trial,
    TuningResult,
    best_first,
    tuned_name,
)
from hcat_core.experiments.tune.sentences import difference_in_words, sentences, verdict
from hcat_core.experiments.tune.space import as_text, on_one_line, short_names
from hcat_core.report.forest_plot import ForestRow, ForestScale, forest_figure
from hcat_core.report.formatting import number
from hcat_core.report.page_facts import PageFacts
from hcat_core.report.page_tables import Cell, PageTable, numbers, texts
from hcat_core.report.page_template import render_page

SECTIONS = (
    ("folds", "What each outer fold chose"),
    ("history", "The search on all patients"),
    ("method", "How it was searched"),
)
AS_IT_IS = "the recipe as it is"
KINDS = {"better": "good", "worse": "bad", "no detectable difference": ""}


@dataclass(frozen=True)
class Figure:
    """A drawing, empty where there is nothing to draw, and what it shows."""

    svg: str
    caption: str


def render(result: TuningResult, facts: PageFacts) -> str:
    """The page as HTML: one file without scripts and without patient ids, which loads nothing."""
    return render_page(
        "tune.html.j2",
        title=f"Search for better values of {result.recipe}",
        facts=facts.pairs(),
        sections=SECTIONS,
        verdict=verdict(result),
        verdict_kind=KINDS.get(difference_in_words(result), "unknown"),
        sentences=[*sentences(result), *result.comparison["notes"]],
        forest=_forest(result),
        choices=_choices(result),
        history=Figure(
            history_figure(result),
            f"{result.score} on the inner folds. Points: trials of the search on all patients; line: the "
            "best so far. Grey lines: the best so far in the search of each outer fold. The best of many "
            "trials rises by luck alone: this figure does not show what tuning is worth.",
        ),
        importance=Figure(
            importance_figure(result),
            "Share of the variance of scores that each key explains alone (fANOVA), of keys that every "
            "trial has. It says what moved the score, noise included, not what is better.",
        ),
        trials=_trials(result),
        refused=sum(one.refused for one in (*result.searches, result.final)),
        space=_space(result),
        method=_method(result),
    )


def _forest(result: TuningResult) -> Figure:
    """Scores on outer folds, and the one that is too high."""
    rows = [
        *(
            ForestRow(name, score.mean, _pair(score), emphasised=name == tuned_name(result.recipe))
            for name, score in result.outer.items()
        ),
        ForestRow("best trial, optimistic", result.final.best.score),
    ]
    scale = ForestScale(result.score, reference=0.0 if result.score.startswith("R2") else 0.5, digits=3)
    svg = forest_figure(
        "tuned", rows, scale, f"{result.score} of the tuned recipe and others on outer folds"
    )
    return Figure(
        svg,
        f"{result.score}: mean over outer folds{_with_intervals(result)}. The last row is the "
        "best trial's score on the folds by which it was chosen; it is no estimate of what to expect.",
    )


def _with_intervals(result: TuningResult) -> str:
    """What the lines of the figure are; nothing where there are none."""
    some = any(score.low is not None for score in result.outer.values())
    return ", with Nadeau-Bengio 95 % intervals" if some else ""


def _pair(score: OuterScore) -> tuple[float, float] | None:
    return None if score.low is None or score.high is None else (score.low, score.high)


def _choices(result: TuningResult) -> PageTable:
    """One row for each outer fold."""
    names = short_names(result.keys)
    return PageTable(
        [
            *texts("outer fold"),
            *numbers("trial", "on inner folds", "tuned, on the outer fold", "as it is, on the outer fold"),
            *texts("values"),
        ],
        [
            [
                search.name.removeprefix("outer fold "),
                str(search.best.number),
                number(search.best.score),
                Cell(number(result.tuned.by_fold.get(search.fold or (0, 0))), strong=True),
                number(result.untuned.by_fold.get(search.fold or (0, 0))),
                on_one_line(search.best.settings, names) or AS_IT_IS,
            ]
            for search in result.searches
        ],
        f"{result.score}. An outer fold is a part of the patients that is set aside. A search divides the "
        "others into inner folds, chooses the trial that is best on these, and is scored once on the "
        "patients that were set aside.",
    )


def _trials(result: TuningResult) -> PageTable:
    """One row for each trial of the search on all patients, the best first, a column for each key."""
    search = result.final
    ordered = best_first(search.trials)
    return PageTable(
        [*numbers("trial", "score"), *texts(*short_names(result.keys).values())],
        [_trial(one, search, result.keys) for one in ordered],
        "Trials of the search on all patients, the best first: mean and standard deviation over inner "
        "folds. Trial 0 is the recipe as it is. A cell is empty where the trial's components do not have "
        "the key.",
        "All trials of the search on all patients",
    )


def _trial(trial: Trial, search: FinishedSearch, keys: tuple[str, ...]) -> list[Cell | str]:
    best = trial.number == search.best.number
    spread = f"± {np.std(trial.scores, ddof=1):.3f}" if len(trial.scores) > 1 else ""
    score = Cell(number(trial.score), trial.error or spread, strong=best)
    return [str(trial.number), score, *(as_text(trial.settings.get(key, "")) for key in keys)]


def _space(result: TuningResult) -> PageTable:
    """One row for each key that was searched."""
    return PageTable(texts("key", "values"), [[one.key, one.in_words] for one in result.space])


def _method(result: TuningResult) -> list[str]:
    plan = result.plan
    return [
        f"Patients were divided into {plan.folds} outer folds"
        + (f", {plan.repeats} times" if plan.repeats > 1 else "")
        + f". For each, {plan.trials} trials were scored on {plan.inner_folds} inner folds of the other "
        "patients; the best one was fitted on all of these and scored on the outer fold.",
        "The same search on all patients chose the values of best.toml. It has no outer fold, so its score "
        "is no estimate; the mean over outer folds estimates what this way of choosing gives.",
        f"Trial 0 of a search is the recipe as it is. Folds and draws follow from seed {plan.seed}.",
    ]
