"""Speed of every built-in imputer: fit and transform of 600 x 5 x 128, one pass of pytest-benchmark.

pytest -n 0 benchmarks/test_imputers.py --benchmark-only
"""

from __future__ import annotations

import pytest
import torch

from hcat_core.experiments.compare_imputers.cohorts import make_trial
from hcat_core.experiments.compare_imputers.settings import Setting, imputer_tables
from hcat_core.interfaces import FitContext
from hcat_core.recipe.component_tables import check_component, construct
from hcat_core.registry.catalog import load_catalog

CATALOG = load_catalog()
TABLES = imputer_tables(CATALOG, ())


@pytest.fixture(scope="module")
def trial():
    return make_trial(Setting("mcar", 0.3, 0), lambda path: pytest.fail("no recipe here"))


def with_epochs(table, epochs):
    """A copy of an imputer's table, and of those nested in it, with another number of epochs."""
    changed = {k: with_epochs(v, epochs) if isinstance(v, dict) else v for k, v in table.items()}
    return {**changed, "fit_epochs": epochs} if "fit_epochs" in table else changed


def made(table, trial, tmp_path):
    table = check_component(CATALOG, "imputer", table, "imputer").table
    torch.manual_seed(0)
    return construct(CATALOG, "imputer", table, (trial.train.layout,), tmp_path)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.benchmark(group="fit")
def test_fit(benchmark, name, trial, tmp_path):
    imputer = made(TABLES[name], trial, tmp_path)
    train, validation = trial.train.without_targets(), trial.validation.without_targets()
    benchmark.pedantic(imputer.fit, args=(train, validation, FitContext(0)), rounds=1)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.benchmark(group="transform of 500")
def test_transform(benchmark, name, trial, tmp_path):
    imputer = made(with_epochs(TABLES[name], 1), trial, tmp_path)  # weights do not change the time
    imputer.fit(trial.train.without_targets(), trial.validation.without_targets(), FitContext(0))
    if isinstance(imputer, torch.nn.Module):
        imputer.eval()
    with torch.no_grad():
        benchmark.pedantic(imputer, args=(trial.test.without_targets(),), rounds=3, warmup_rounds=1)
