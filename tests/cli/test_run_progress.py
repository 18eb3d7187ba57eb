"""What ``hcat run`` and ``hcat compare`` show while they work."""

import io
import re
import sys
from pathlib import Path

from rich.console import Console

from hcat_core.cli.comparison_progress import ComparisonProgress
from hcat_core.cli.console import Output


def test_without_a_terminal_each_evaluation_of_an_imputer_is_a_line(small_run, fitted_imputer):
    code, out, _ = small_run(*fitted_imputer, "--epochs=1")
    assert code == 0
    lines = re.findall(r"^(\w+), network (\d) of (\d): epoch +(\d)/2  CRPS (0\.\d{4})$", out, re.M)
    assert [line[:4] for line in lines[:2]] == [
        ("MultiModalVAE", "1", "1", "1"),
        ("MultiModalVAE", "1", "1", "2"),
    ]
    assert ("AdvancedIterativeImputer", "1", "3", "1") in {line[:4] for line in lines}
    assert float(lines[1][4]) <= float(lines[0][4])  # of the best state so far
    assert out.index("MultiModalVAE, network") < out.index("training in run")


def test_fitting_the_evidence_of_each_member_is_a_line(small_run):
    settings = ["estimator.evidence={use='evidence',trees=5}", "estimator.members=2"]
    code, out, err = small_run("--epochs=1", *(f"--set={one}" for one in settings))
    assert code == 0, err
    lines = [line for line in out.splitlines() if "evidence of" in line or line.startswith("training in")]
    assert [line.split(":")[0] for line in lines] == [
        "fitting the evidence of member 1 of 2",
        "training in run",
        "fitting the evidence of member 2 of 2",
        "training in run",
    ]


def test_a_terminal_shows_a_bar_for_the_imputer_before_that_of_the_training(
    small_run, fitted_imputer, monkeypatch
):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "150")
    code, out, _ = small_run(*fitted_imputer, "--epochs=1")
    assert code == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out)
    imputer = re.search(r"MultiModalVAE, network 1 of 1: epoch [ 012]+/2 .*left .*CRPS 0\.\d{4}", text)
    assert imputer is not None
    assert not re.search(r"network 1 of 1: epoch +\d/2  CRPS", text)  # in the bar alone
    assert imputer.start() < text.index("training in run")
    assert re.search(r"^epoch [ 01]+/1 .*left", text[text.index("training in run") :], re.M)


def test_quiet_shows_no_progress_on_a_terminal(small_run, fitted_imputer, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    assert small_run(*fitted_imputer, "--epochs=1", "-q") == (0, "", "")


def test_the_bar_of_a_comparison_leaves_standard_output_alone(monkeypatch):
    """The console writes to what ``sys.stdout`` is: with rich's stand-in there it would never return."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    stdout, stderr = sys.stdout, sys.stderr
    output = Output(Console(file=io.StringIO()), as_json=False, quiet=False)
    with ComparisonProgress(output, 2, Path("comparison")) as progress:
        assert progress.bar is not None
        assert (sys.stdout, sys.stderr) == (stdout, stderr)
