from dataclasses import replace

import pytest

from hcat_core.interfaces import FitContext
from hcat_core.recipe.build import build_estimator
from hcat_core.recipe.recipe import load_recipe


@pytest.mark.parametrize("name", ["logistic", "coxnet"])
def test_one_extreme_value_hardly_changes_predictions_once_tails_are_winsorised(name, estimators):
    emb = estimators.train.emb.clone()
    emb[7, 0, :5] = 1e4
    wild = replace(estimators.train, emb=emb)

    def moved(tails):
        recipe = load_recipe(
            estimators.recipes / estimators.tables[name][0],
            estimators.catalog,
            sets=[f"estimator.tails={tails}"],
        )[0]
        found = []
        for train in (estimators.train, wild):
            estimator = build_estimator(recipe, estimators.catalog, estimators.cohort.layout)
            estimator.fit(train, estimators.validation, FitContext(0))
            found.append(estimator.predict(estimators.test.without_targets()).event_probability)
        return float((found[0] - found[1]).abs().mean())

    assert moved(0.02) < 0.25 * moved(0.0)
