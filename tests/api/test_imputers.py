"""hcat's imputers keep the rules of scikit-learn, and fill modalities that are missing as a whole."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import hcat_core as hcat
from hcat_core.errors import DataError, RecipeError, UsageError

CLASSES = (hcat.MeanImputer, hcat.GaussianImputer, hcat.KnnImputer)


@parametrize_with_checks([made() for made in CLASSES])
def test_it_keeps_the_rules_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture
def table():
    """80 samples: ``b`` is twice ``a`` and a little noise; half of the samples lack all of ``b``."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(80, 3))
    frame = pd.DataFrame(np.hstack([a, 2 * a + rng.normal(0, 0.1, a.shape)]), columns=[*"abc", *"xyz"])
    whole = frame.copy()
    frame.loc[::2, ["x", "y", "z"]] = np.nan
    return frame, whole


GROUPS = {"one": ["a", "b", "c"], "two": ["x", "y", "z"]}


def test_a_missing_modality_is_filled_from_the_other(table):
    frame, whole = table
    filled = hcat.GaussianImputer(modalities=GROUPS).set_output(transform="pandas").fit_transform(frame)
    assert filled.columns.tolist() == frame.columns.tolist() and not filled.isna().any(axis=None)
    error = (filled - whole).loc[::2, "x"].std()
    assert error < 0.4 * whole["x"].std()
    measured = frame.notna()
    pd.testing.assert_frame_equal(filled[measured], frame[measured], check_exact=True)


def test_the_mean_is_in_the_units_of_the_table():
    X = np.array([[1.0, 200.0], [3.0, np.nan], [np.nan, 400.0]])
    np.testing.assert_allclose(hcat.MeanImputer().fit_transform(X), [[1, 200], [3, 300], [2, 400]])


def test_names_come_out_as_they_went_in(table):
    made = hcat.MeanImputer().fit(table[0])
    assert made.get_feature_names_out().tolist() == [*"abcxyz"]
    with pytest.raises(ValueError, match="feature names"):
        made.transform(table[0].rename(columns={"a": "other"}))


def test_it_is_a_step_of_a_pipeline_that_is_cross_validated(table):
    frame, whole = table
    y = (whole["x"] > 0).astype(int)
    model = make_pipeline(hcat.GaussianImputer(modalities=GROUPS), LogisticRegression())
    assert cross_val_score(model, frame, y, scoring="roc_auc", cv=3).mean() > 0.9


@pytest.mark.parametrize("name", ["mean", "gaussian", "knn", "mice"])
def test_every_closed_imputer_of_the_catalog_is_one(name, table):
    made = clone(hcat.make_imputer(name, modalities=GROUPS, random_state=3)).fit(table[0])
    filled = made.transform(table[0])
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made)).transform(table[0]), filled)


@pytest.mark.slow
def test_a_network_that_refines_another_imputer_is_one(table):
    made = hcat.IterativeImputer(modalities=GROUPS, fit_epochs=1, hidden=8, n_heads=2).fit(table[0])
    assert np.isfinite(made.transform(table[0])).all()
    again = clone(made).fit(table[0])
    np.testing.assert_array_equal(again.transform(table[0]), made.transform(table[0]))


def test_parameters_of_the_component_are_those_of_the_class(table):
    made = hcat.KnnImputer(n_neighbors=3)
    assert made.get_params() == {
        "modalities": None,
        "random_state": 0,
        "n_neighbors": 3,
        "weights": "distance",
    }
    with pytest.raises(TypeError, match="no parameter neighbours"):
        hcat.KnnImputer(neighbours=3)
    with pytest.raises(RecipeError, match="n_neighbors"):
        hcat.KnnImputer(n_neighbors=0).fit(table[0])
    with pytest.raises(UsageError, match='Did you mean "gaussian"'):
        hcat.make_imputer("gausian")


@pytest.mark.parametrize(
    "modalities, message",
    [
        ({"one": ["a", "b"], "two": ["x", "y", "z"]}, "columns of no modality: c"),
        ({"one": ["a", "b", "c", "x"], "two": ["x", "y", "z"]}, "belongs to one modality, once: x"),
        ({"one": ["a", "a", "b", "c"], "two": ["x", "y", "z"]}, "some are named twice"),
        ({"one": ["a", "b", "cc"], "two": ["x", "y", "z"]}, "no column is called cc"),
        ({"one": list("abcxyz"), "two": []}, "two: has no columns"),
        ({}, "columns by name of the modality are needed"),
        ([["a"]], "columns by name of the modality are needed"),
    ],
)
def test_groups_that_are_not_the_columns_are_sentences(table, modalities, message):
    with pytest.raises(UsageError, match=message):
        hcat.MeanImputer(modalities=modalities).fit(table[0])


def test_a_column_without_any_value_is_refused_by_name(table):
    with pytest.raises(DataError, match="without any measured value: a, z"):
        hcat.MeanImputer().fit(table[0].assign(a=np.nan, z=np.nan))
