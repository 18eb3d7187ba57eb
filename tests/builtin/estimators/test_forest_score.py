"""A forest as arrays of nodes."""

import numpy as np
from sklearn.ensemble import RandomForestRegressor

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
