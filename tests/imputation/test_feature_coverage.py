"""A reduced form of ``benchmarks/feature_coverage.py``: intervals of imputed cells by kind of feature."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "feature_coverage.py"
SEEDS = (0, 1)
DISCRETE = ("binary 30 %", "binary 3 %", "zero-inflated")
KINDS = ("normal", "log-normal", "uniform", *DISCRETE)


@pytest.fixture(scope="module")
def found():
    """Coverage of ``gaussian``: 500 training, 150 validation and 600 new patients, 15 % gaps."""
    spec = importlib.util.spec_from_file_location("feature_coverage", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there for their annotations
    spec.loader.exec_module(module)
    assert set(module.KINDS) == set(KINDS)
    yield [module.measure("gaussian", 500, 150, 600, seed, gaps=0.15) for seed in SEEDS]
    del sys.modules[spec.name]


def mean(found, place, kind, name):
    return float(np.mean([getattr(getattr(one, place)[kind], name) for one in found]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["blocks", "gaps"])
def test_the_predictive_distribution_leaves_out_5_percent_on_each_side(found, place, kind):
    assert 0.87 < mean(found, place, kind, "rank_covered") < 0.93
    for tail in ("rank_below", "rank_above"):
        assert 0.02 < mean(found, place, kind, tail) < 0.08


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in DISCRETE])
@pytest.mark.parametrize("place", ["blocks", "gaps"])
def test_intervals_of_continuous_features_cover_90_percent(found, place, kind):
    assert 0.87 < mean(found, place, kind, "covered") < 0.93
    for tail in ("below", "above"):
        assert 0.02 < mean(found, place, kind, tail) < 0.08


@pytest.mark.parametrize("kind", DISCRETE)
@pytest.mark.parametrize("place", ["blocks", "gaps"])
def test_intervals_of_discrete_features_cover_at_least_90_percent(found, place, kind):
    """More than 90 %, because an interval that ends at 0 has nothing to leave out below it."""
    assert mean(found, place, kind, "covered") > 0.87
    assert mean(found, place, kind, "above") < 0.08


def test_no_mean_interval_or_draw_of_a_non_negative_feature_is_below_zero(found):
    assert min(one.negative for one in found) == 0
