"""Short runs of the benchmarks that interrupt, race and compare real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def output_of(script, *arguments):
    """Run a benchmark, which must exit with 0, and return what it prints."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_run_killed_at_any_moment_and_resumed_writes_the_files_of_an_uninterrupted_run():
    out = output_of("kill_anywhere.py", "run", "--count=3", "--writing=1")
    assert "killed at random moments: 3 of 3 equal" in out
    assert "killed inside a checkpoint: 1 of 1 equal; 1 left half a file" in out


@pytest.mark.slow
@pytest.mark.parametrize("what", ["compare", "compare-imputers"])
def test_a_comparison_killed_at_any_moment_keeps_finished_parts_and_ends_the_same(what):
    assert f"hcat {what}, killed at random moments: 2 of 2 equal" in output_of(
        "kill_anywhere.py", what, "--count=2"
    )


@pytest.mark.slow
def test_of_two_runs_started_in_one_folder_exactly_one_runs():
    out = output_of("two_runs_one_folder.py", "--count=1")
    assert "--outdir RUN at once: one won and the other named it, 1 of 1" in out
    assert "--resume RUN at once: one won and the other named it, 1 of 1" in out
