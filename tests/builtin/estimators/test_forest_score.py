"""A forest as arrays of nodes."""

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from hcat_builtin.estimators import forest_score
from hcat_builtin.estimators.forest_score import Trees


def test_arrays_of_nodes_predict_what_scikit_learn_does():
    rng = np.random.default_rng(0)
    x, new = rng.standard_normal((200, 6)), rng.standard_normal((50, 6))
    y = x[:, 0] ** 2 + rng.standard_normal(200)
    forests = [
        RandomForestRegressor(20, min_samples_leaf=3, random_state=seed).fit(x, y) for seed in range(2)
    ]
    expected = np.mean([forest.predict(new) for forest in forests], axis=0)
    assert np.allclose(Trees.of(forests).predict(new), expected, rtol=1e-12)


def test_a_forest_of_single_leaves_predicts_the_mean():
    x, y = np.zeros((30, 2)), np.arange(30.0)
    forest = RandomForestRegressor(3, bootstrap=False, random_state=0).fit(x, y)
    assert np.allclose(Trees.of([forest]).predict(x), 14.5)


def test_patients_are_predicted_in_parts_alike(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 4))
    trees = Trees.of([RandomForestRegressor(10, random_state=0).fit(x, x[:, 0])])
    whole = trees.predict(x)
    for number in (1, 7, 100):
        monkeypatch.setattr(forest_score, "PATIENTS_AT_ONCE", number)
        assert np.array_equal(trees.predict(x), whole)
    assert trees.predict(x[:0]).shape == (0,)


def test_a_value_at_a_threshold_is_below_it_and_values_are_compared_in_float32():
    """As scikit-learn does: the threshold between 0 and 1 is 0.5."""
    x, y = np.repeat([[0.0], [1.0]], 20, axis=0), np.repeat([0.0, 1.0], 20)
    forest = RandomForestRegressor(5, random_state=0).fit(x, y)
    new = np.array([[0.5], [0.5 + 1e-9], [0.5 - 1e-9], [0.5 + 1e-6]])
    found = Trees.of([forest]).predict(new)
    assert np.array_equal(found, forest.predict(new)) and found.tolist() == [0, 0, 0, 1]
