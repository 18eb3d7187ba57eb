from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_builtin.estimators.patient_features import FeatureChoice, PatientFeatures
from hcat_core.interfaces import FitContext
from hcat_core.recipe.build import build_estimator
from hcat_core.recipe.recipe import load_recipe
from hcat_core.testing.cohorts import random_cohort


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


def test_a_feature_of_few_values_is_not_winsorised():
    """A code that one patient in a hundred has is a code, and not an extreme value."""
    cohort = random_cohort(200, {"clinical": 2, "spatial": 2}, missing=0, gaps=0)
    emb = cohort.emb.clone()
    emb[:, 0, 1] = 0.0
    emb[:2, 0, 1] = 1.0
    cohort = replace(cohort, emb=emb)
    features = PatientFeatures(cohort.layout, FeatureChoice(["clinical"], 16, 64), tails=0.05)
    x = features.fit(cohort)
    code, laboratory = x[:, 1], x[:, 0]
    assert len(np.unique(code)) == 2 and code[:2].min() > code[2:].max()
    assert (laboratory == laboratory.max()).sum() == 10, "a twentieth at either end"


def test_features_are_standardised_over_measured_cells_and_gaps_get_the_median():
    cohort = random_cohort(300, {"clinical": 3, "spatial": 2}, missing=0, gaps=0.2)
    skewed = torch.where(cohort.measured, cohort.emb.exp() + 5, 0.0)
    cohort = replace(cohort, emb=skewed)
    measured = cohort.measured[:, 0, :3].numpy()
    values = np.where(measured, cohort.emb[:, 0, :3].numpy(), np.nan)
    expected = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    for fill, gap in (("median", np.nanmedian(expected, axis=0)), ("mean", np.zeros(3))):
        x = PatientFeatures(cohort.layout, FeatureChoice(["clinical"], 16, 64), fill=fill).fit(cohort)
        np.testing.assert_allclose(x, np.where(measured, expected, gap), atol=1e-5)
    assert (np.abs(np.nanmedian(expected, axis=0)) > 0.05).all(), "the median is not the mean"
