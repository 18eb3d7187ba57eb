"""What benchmarks refer to is there."""

import importlib
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_part_of_a_whole_run_names_functions_that_a_run_calls(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    parts = importlib.import_module("whole_run").PARTS
    for module, *names in parts.values():
        for name in names:
            found = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
            assert callable(found)
    for name in ("whole_run", "measuring"):
        sys.modules.pop(name, None)
