"""What benchmarks refer to is there."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark_module(monkeypatch):
    """Imports one of the benchmarks; all of them are forgotten afterwards."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_every_part_of_a_whole_run_names_functions_that_a_run_calls(benchmark_module):
    for module, *names in benchmark_module("whole_run").PARTS.values():
        for name in names:
            function = importlib.import_module(module)
            for part in name.split("."):
                function = getattr(function, part)
            assert callable(function)


@pytest.mark.parametrize(("name", "size"), [("training_step", ()), ("mc_evaluation", (4,))])
def test_a_benchmark_of_the_model_times_it_and_its_matrix_products(benchmark_module, name, size):
    ((seconds, floor),) = benchmark_module(name).timed(1, *size, None)
    assert 0 < floor < seconds


def test_every_mutant_changes_a_line_that_is_there_and_names_tests_that_are(benchmark_module):
    mutants = benchmark_module("mutants").read_mutants(BENCHMARKS / "mutants.toml")
    tests = {test.partition("::")[0] for mutant in mutants for test in mutant.tests}
    assert all((BENCHMARKS.parent / test).exists() for test in tests)
