"""Simple models fitted to the same patients, to compare the recipe's own model with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hcat_core.cohort import Cohort
from hcat_core.data.splits import Split
from hcat_core.errors import HcatError
from hcat_core.evaluation.other_baselines import OtherBaseline, compare_others, compare_references
from hcat_core.evaluation.outcome_selection import (
    predictable_columns,
    prediction_of_columns,
    with_columns,
)
from hcat_core.evaluation.scores import ScoringSettings, TaskScores, score_tasks
from hcat_core.interfaces import FitContext, Prediction
from hcat_core.metrics.censoring import known_weights
from hcat_core.metrics.intervals import paired_auc_difference
from hcat_core.recipe.component_tables import check_component
from hcat_core.recipe.outcome_kinds import kinds_of
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.training.fitting import fit_estimator


@dataclass(frozen=True)
class BaselineScores(TaskScores):
    """Scores of a baseline's predictions of one task.

    Attributes:
        difference: the AUC of the run's own model minus the baseline's, with the lower and upper end of
            its 95 % interval over test patients; None with few events.
    """

    difference: Sequence[float] | None = None


@dataclass(frozen=True)
class ScoredBaselines:
    """Simple models on the test patients of a run.

    Attributes:
        events: scores by baseline and task of an event.
        others: scores by baseline, or reference, and outcome that is no event.
    """

    events: Mapping[str, Mapping[str, BaselineScores]]
    others: Mapping[str, Mapping[str, OtherBaseline]]


def baseline_recipes(
    names: Sequence[str], present: Sequence[object], like: Recipe, catalog: Catalog, cohort: Cohort
) -> dict[str, Recipe]:
    """Make a recipe for each baseline, at its defaults, on the cohort of another recipe.

    Args:
        names: of estimators; one that is not installed or can predict no outcome of the cohort is left out,
            and ``coxnet`` where times are unknown.
        present: estimators that are compared anyway; they are left out.
        like: the recipe whose cohort, split and evaluation are used.
        catalog: of components.
        cohort: with targets.
    """
    assert cohort.targets is not None
    events = list(cohort.layout.event_columns)
    timed = bool((cohort.targets.event[:, events] >= 0).any(dim=0).all())
    kinds = {task.kind for task in cohort.layout.tasks}
    result = {}
    for name in names:
        component = catalog.registries["estimator"].find(name)
        if name in present or component is None or (name == "coxnet" and not timed):
            continue
        if not kinds_of(component) & kinds:  # nothing here that it could predict
            continue
        table = check_component(catalog, "estimator", {"use": name}, "estimator").table
        assert table is not None
        result[name] = replace(like, estimator=table, imputer={}, fusion={}, heads={}, losses=[])
    return result


def score_baselines(
    recipe: Recipe,
    catalog: Catalog,
    cohort: Cohort,
    split: Split,
    predicted: Prediction,
    context: FitContext,
) -> ScoredBaselines:
    """Fit the recipe's ``evaluation.baselines`` and score them on the test patients.

    A baseline is fitted to the outcomes that it can predict. One that cannot be fitted is left out, and
    ``context.progress`` gets the reason.
    """
    recipes = baseline_recipes(
        recipe.evaluation.baselines, [recipe.estimator["use"]], recipe, catalog, cohort
    )
    own = predicted[split.test.numpy()]
    events: dict[str, dict[str, BaselineScores]] = {}
    others = compare_references(cohort[split.test], own, _settings(recipe, cohort, split))
    for name, baseline in recipes.items():
        columns = predictable_columns(baseline, catalog, cohort.layout)
        if not columns:
            continue
        part = with_columns(cohort, columns)
        context.progress(f"fitting the baseline {name}")
        try:
            fitted = fit_estimator(baseline, catalog, part[split.train], part[split.validation], context)
            other = fitted.predict(part[split.test])
        except (HcatError, ValueError) as error:
            context.progress(f"the baseline {name} is left out: {error}")
            continue
        settings = replace(_settings(recipe, part, split), thresholds=fitted.thresholds)
        compared = part[split.test], prediction_of_columns(own, columns), other, settings
        events[name], others[name] = _compare(*compared), compare_others(*compared)
    return ScoredBaselines(
        {name: scored for name, scored in events.items() if scored},
        {name: scored for name, scored in others.items() if scored},
    )


def _settings(recipe: Recipe, cohort: Cohort, split: Split) -> ScoringSettings:
    """How predictions of the test patients are scored, with thresholds of 0.5."""
    assert cohort.targets is not None
    usual = [0.5] * len(cohort.layout.tasks)
    return ScoringSettings(usual, cohort.targets[split.train], recipe.evaluation.bootstrap, recipe.seed)


def best_simple_model(
    task: str, baselines: Mapping[str, Mapping[str, BaselineScores]]
) -> tuple[str, BaselineScores] | None:
    """The baseline with the highest AUC of those that the model was compared with; None without any.

    Args:
        task: its name.
        baselines: scores by baseline and task.
    """
    comparable = {
        name: tasks[task]
        for name, tasks in baselines.items()
        if task in tasks and tasks[task].difference and tasks[task].auc is not None
    }
    if not comparable:
        return None
    best = max(comparable, key=lambda name: comparable[name].auc or 0.0)
    return best, comparable[best]


def _compare(
    test: Cohort, predicted: Prediction, baseline: Prediction, settings: ScoringSettings
) -> dict[str, BaselineScores]:
    """Score a baseline by task of an event, and compare its AUC with that of ``predicted``."""
    assert test.targets is not None
    scores = score_tasks(test, baseline, settings)
    result = {}
    for column in test.layout.event_columns:
        task = test.layout.tasks[column]
        difference = paired_auc_difference(
            predicted.probability[:, column],
            baseline.probability[:, column],
            test.targets.labels[:, column].numpy(),
            known_weights(test.targets, column, task.horizon_days, settings.train),
            settings.resampling(test),
        )
        result[task.name] = BaselineScores(**vars(scores[task.name]), difference=difference)
    return result
