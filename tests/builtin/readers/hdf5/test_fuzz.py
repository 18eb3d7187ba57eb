"""Mutated files of every layout, as ``benchmarks/fuzz_hdf5.py`` makes them; 10,000 of them there."""

import re
import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).parents[4] / "benchmarks" / "fuzz_hdf5.py"


def test_mutated_files_are_read_or_refused_by_name_and_nothing_else_happens():
    done = subprocess.run(
        [sys.executable, str(FUZZ), "--mutations", "500", "--seconds", "2"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {what: int(count) for count, what in re.findall(r"^ *(\d+)  (.+)$", done.stdout, re.MULTILINE)}
    assert sum(counts[what] for what in counts if "seed" not in what) == 500
    assert counts["read"] > 50
    assert counts["refused, dataset named"] > 100
