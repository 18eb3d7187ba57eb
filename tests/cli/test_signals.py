"""Ctrl-C, SIGTERM and SIGHUP: the last good checkpoint, a line that says how to go on, the exit code."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hcat_core.runs import recipe_cohort
from hcat_core.storage.checkpoint import read_checkpoint
from hcat_core.training import loop

QUICK = ("--set=imputer.use=mean", "--set=evaluation.baselines=[]", "--set=evaluation.bootstrap=0")
SECOND = """
import os, signal, sys
from hcat_core.cli.interruption import orderly_signals

try:
    with orderly_signals():
        os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("unwound")
try:
    with orderly_signals():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), getattr(signal, sys.argv[1]))
finally:
    print("never said")
"""


@pytest.fixture(autouse=True)
def heard():
    """Ctrl-C is heard however pytest was started: a job in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def signalled(monkeypatch):
    """A real signal to this process at the n-th step of the training."""

    def at(number, step):
        real, calls = loop.training_step, []

        def stepping(*arguments):
            calls.append(1)
            if len(calls) == step:
                os.kill(os.getpid(), number)
            return real(*arguments)

        monkeypatch.setattr(loop, "training_step", stepping)

    return at


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_a_run_with_its_exit_code_and_the_line_that_goes_on(
    small_run, signalled, number, expected
):
    signalled(number, 5)  # three steps an epoch
    code, _, err = small_run(*QUICK, "--epochs=4")
    assert code == expected
    assert err.endswith("hcat: warning: interrupted. The run can go on: hcat run --resume run\n")
    _, header = read_checkpoint(Path("run/checkpoints/last.safetensors"))
    assert header["progress"]["epoch"] == 1
    assert [p for p in Path("run").rglob(".*")] == []


def test_sigterm_ends_any_command_with_143(hcat, cohort_folder, monkeypatch):
    from hcat_core.cli import inspect

    monkeypatch.setattr(inspect, "open_catalog", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert hcat("inspect", "enhanced.toml")[::2] == (143, "\ninterrupted\n")


def test_handlers_are_those_of_before_when_a_command_is_done(hcat):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    hcat("list-components")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_that_the_caller_ignores_stays_ignored(small_run, signalled):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        signalled(signal.SIGINT, 2)
        assert small_run(*QUICK, "--epochs=1")[0] == 0
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("second", "expected"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_the_second_signal_ends_the_process_where_it_stands(second, expected):
    done = subprocess.run([sys.executable, "-uc", SECOND, second], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (expected, "unwound\n", "")


def test_a_signal_while_the_data_is_read_leaves_what_can_be_resumed(small_run, hcat, monkeypatch):
    real = recipe_cohort.assemble_cohort

    def reading(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(recipe_cohort, "assemble_cohort", reading)
    code, _, err = small_run(*QUICK, "--epochs=1")
    assert code == 143 and "hcat run --resume run" in err
    assert [p.name for p in Path("run").iterdir()] == ["recipe.toml"]
