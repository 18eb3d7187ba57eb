"""Work is never silent for long."""

import io
import time
from pathlib import Path

from hcat_core.cli.console import InertConsole, Output
from hcat_core.cli.run_progress import RunProgress
from hcat_core.cli.waiting import Waiting


def output(terminal=False, quiet=False):
    file = io.StringIO()
    console = InertConsole(file=file, width=80, force_terminal=terminal, soft_wrap=True)
    return Output(console, False, quiet), file


def wait_for(file, text, seconds=5.0, after=""):
    """Whether a text appears within some seconds, behind another one."""
    end = time.monotonic() + seconds
    while not (found := text in file.getvalue()[file.getvalue().find(after) :]):
        if time.monotonic() > end:
            break
        time.sleep(0.01)
    return found


def test_without_a_terminal_a_line_says_what_goes_on_and_for_how_long():
    out, file = output()
    with Waiting(out, first=0.05).start("fitting late_fusion"):
        assert wait_for(file, "... fitting late_fusion: ")


def test_nothing_is_said_of_work_that_is_done_at_once_or_over():
    out, file = output()
    waiting = Waiting(out, first=0.05).start("reading")
    waiting.stop()
    time.sleep(0.15)
    assert file.getvalue() == ""


def test_nothing_is_said_where_nothing_was_to_be_said():
    out, file = output(quiet=True)
    with Waiting(out, first=0.01).start("reading"):
        time.sleep(0.1)
    assert file.getvalue() == ""


def test_a_terminal_shows_a_clock():
    out, file = output(terminal=True)
    with Waiting(out).start("reading"):
        assert wait_for(file, "0:00:0")


def test_steps_within_a_long_epoch_are_told():
    out, file = output()
    progress = RunProgress(out)
    progress.hcat_steps_taken(epoch=2, step=30, steps=400, loss=0.5)
    progress.stop()
    assert "epoch   2  step 30/400  loss 0.5000" in file.getvalue()


def test_steps_are_not_told_more_often_than_needed():
    out, file = output()
    progress = RunProgress(out)
    for step in range(1, 9):
        progress.hcat_steps_taken(epoch=1, step=step, steps=400, loss=0.5)
    progress.stop()
    assert file.getvalue().count("step") == 1


def test_a_phase_after_the_training_has_a_clock_in_place_of_the_bar():
    out, file = output(terminal=True)
    progress = RunProgress(out)
    progress.hcat_run_started(Path("run"), epochs=3, steps_per_epoch=4, member=1, members=1)
    record = {"epoch": 1, "epochs": 3, "train_loss": 0.5, "val": {}, "best": True}
    progress.hcat_epoch_finished(record)
    assert "left" in file.getvalue()
    progress.say("fitting the baseline random_forest")
    assert wait_for(file, "0:00:0", after="fitting the baseline")
    progress.stop()
    assert "left" not in file.getvalue().split("fitting the baseline")[1]
