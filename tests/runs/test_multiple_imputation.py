"""What an analyst may conclude from pooled draws, and what not. Figures of more cohorts: benchmarks."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

PATIENTS, COHORTS = 150, 40


@pytest.fixture(scope="module")
def pooled_draws():
    path = Path(__file__).parents[2] / "benchmarks" / "pooled_draws.py"
    spec = importlib.util.spec_from_file_location("pooled_draws", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["pooled_draws"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["pooled_draws"]


def test_pooled_intervals_of_means_have_about_their_coverage(pooled_draws):
    inside = [pooled_draws.mean_coverage(PATIENTS, 0.4, seed).mean() for seed in range(COHORTS)]
    assert abs(np.mean(inside) - 0.95) < 0.03


def test_a_regression_on_draws_made_without_its_outcome_is_biased_towards_zero(pooled_draws):
    found = [pooled_draws.slopes(PATIENTS, 0.4, seed, draws=5) for seed in range(15)]
    mean = {name: np.mean([one[name] for one in found]) for name in found[0]}
    bias = 1 - mean["draws without outcome"]
    assert bias > 0.18
    assert abs(1 - mean["draws with it"]) < bias / 2
    assert abs(1 - mean["complete cases"]) < bias / 2
