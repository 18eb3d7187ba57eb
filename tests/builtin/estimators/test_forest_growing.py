"""Forests grown in threads, and on a bounded number of patients a tree."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from hcat_builtin.estimators import forest_growing
from hcat_builtin.estimators.forest_growing import grow


def table(n=300):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 5))
    return x, (x[:, 0] + rng.standard_normal(n) > 0).astype(int)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("model", [RandomForestClassifier, RandomForestRegressor])
def test_predictions_are_the_same_to_the_bit_in_any_number_of_threads(threads, model):
    x, y = table()
    weight = np.linspace(0.5, 2, len(y))
    alone = model(30, random_state=1, n_jobs=1).fit(x, y, sample_weight=weight)
    for number in (1, 4):
        threads(number)
        found = grow(model(30, random_state=1), x, y, weight)
        assert found.n_jobs == 1, "predictions are summed in the order of the trees"
        assert np.array_equal(found.predict(x), alone.predict(x))
        if model is RandomForestClassifier:
            assert np.array_equal(found.predict_proba(x), alone.predict_proba(x))


def test_it_is_grown_in_as_many_threads_as_torch_may_use(threads):
    class Seen:
        def set_params(self, **parameters):
            self.parameters = {**getattr(self, "parameters", {}), **parameters}
            return self

        def fit(self, x, y, sample_weight):
            self.jobs = self.parameters["n_jobs"]

    threads(3)
    assert grow(Seen(), *table()).jobs == 3


def test_each_tree_has_a_bounded_number_of_patients_and_the_forest_all(monkeypatch):
    monkeypatch.setattr(forest_growing, "MOST_OF_A_TREE", 100)
    x, y = table()
    found = grow(RandomForestClassifier(30, random_state=0), x, y)
    assert {int(tree.tree_.weighted_n_node_samples[0]) for tree in found.estimators_} == {100}
    drawn = {row for rows in found.estimators_samples_ for row in rows}
    assert len(drawn) == len(x), "another hundred for each tree"
    small = grow(RandomForestClassifier(5, random_state=0), x[:100], y[:100])
    assert small.max_samples is None
