"""Simple models beside the recipe's own, on the same patients: does it earn its keep?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hcat_core.cohort import Cohort
from hcat_core.data.splits import Split
from hcat_core.errors import HcatError
from hcat_core.evaluation.analysis import paired_auc_difference, score_group
from hcat_core.interfaces import FitContext, Prediction
from hcat_core.recipe.component_tables import check_component
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.training.fitting import fit_estimator


def baseline_recipes(
    names: Sequence[str], present: Sequence[object], like: Recipe, catalog: Catalog, cohort: Cohort
) -> dict[str, Recipe]:
    """Recipes of ``names`` at their defaults, on the cohort of ``like``.

    Those among ``present`` already, or not installed, are left out, and ``coxnet`` where times are unknown.
    """
    assert cohort.targets is not None
    timed = bool((cohort.targets.event >= 0).any(dim=0).all())
    result = {}
    for name in names:
        known = catalog.registries["estimator"].find(name) is not None
        if name in present or not known or (name == "coxnet" and not timed):
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
) -> dict[str, dict[str, Any]]:
    """Fit and score the recipe's ``evaluation.baselines`` on the run's own sides.

    ``difference`` is the AUC of ``predicted`` minus the baseline's on the same test patients.
    """
    assert cohort.targets is not None
    table, test = recipe.evaluation, cohort[split.test]
    own, train = predicted[split.test.numpy()], cohort.targets[split.train]
    wanted = baseline_recipes(table.baselines, [recipe.estimator["use"]], recipe, catalog, cohort)
    result: dict[str, dict[str, Any]] = {}
    for name, baseline in wanted.items():
        context.progress(f"fitting the baseline {name}")
        try:
            fitted = fit_estimator(
                baseline, catalog, cohort[split.train], cohort[split.validation], context
            )
            other = fitted.predict(test)
        except (HcatError, ValueError) as error:
            context.progress(f"the baseline {name} is left out: {error}")
            continue
        scores = score_group(test, other, fitted.thresholds, train, table.bootstrap, recipe.seed)
        for column, task in enumerate(cohort.layout.task_names):
            scores[task]["difference"] = paired_auc_difference(
                own.probability[:, column],
                other.probability[:, column],
                cohort.targets.labels[split.test, column].numpy(),
                resamples=table.bootstrap,
                seed=recipe.seed,
            )
        result[name] = scores
    return result
