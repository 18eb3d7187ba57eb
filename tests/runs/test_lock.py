"""One process holds a run folder, and the others are told which."""

import fcntl
import os
import platform

import pytest

from hcat_core.errors import StorageError, UsageError
from hcat_core.runs import lock
from hcat_core.runs.folder import LOCK
from hcat_core.runs.lock import create_locked, open_locked


def test_a_held_folder_is_refused_with_the_holders_process_host_and_time(tmp_path):
    said = rf"run is in use by process {os.getpid()} on {platform.node()} since 2\d\d\d-\d\d-\d\d \d\d:\d\d"
    with create_locked(tmp_path / "run", "seed = 1"):
        with pytest.raises(UsageError, match=said), create_locked(tmp_path / "run", "seed = 2"):
            pass
        with pytest.raises(UsageError, match=said), open_locked(tmp_path / "run"):
            pass
        assert (tmp_path / "run" / "recipe.toml").read_text() == "seed = 1"


def test_the_loser_is_told_who_holds_it_now_and_not_who_died_with_it(tmp_path):
    (tmp_path / LOCK).write_text(
        "process 1 on elsewhere since yesterday, and some more to make it longer " * 3
    )
    with create_locked(tmp_path, "seed = 1"):
        with pytest.raises(UsageError, match=f"process {os.getpid()}") as caught, open_locked(tmp_path):
            pass
    assert "elsewhere" not in str(caught.value) and "longer" not in str(caught.value)


def test_it_is_free_again_and_leaves_no_lock_whatever_ended_it(tmp_path):
    with pytest.raises(KeyboardInterrupt), create_locked(tmp_path / "run", "seed = 1"):
        raise KeyboardInterrupt
    with open_locked(tmp_path / "run") as folder:
        assert folder.recipe.read_text() == "seed = 1"
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["recipe.toml"]


def test_a_lock_that_was_removed_while_it_was_waited_for_is_not_taken(tmp_path, monkeypatch):
    path, real, calls = tmp_path / LOCK, fcntl.flock, []

    def just_removed(descriptor, flags):
        calls.append(descriptor)
        if len(calls) == 1:  # the holder ends between our opening the file and our locking it
            path.unlink()
        real(descriptor, flags)

    monkeypatch.setattr(lock.fcntl, "flock", just_removed)
    with create_locked(tmp_path, "seed = 1"):
        assert len(calls) == 2
        with path.open() as file, pytest.raises(BlockingIOError):
            real(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_nothing_is_written_through_a_link_laid_in_the_locks_place(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / LOCK).symlink_to(outside)
    with pytest.raises(StorageError, match="run cannot be written"), create_locked(run, "seed = 1"):
        pass
    assert outside.read_text() == "mine"


def test_an_error_before_the_run_began_leaves_what_was_there_and_no_more(tmp_path):
    (tmp_path / "here").mkdir()
    with pytest.raises(RuntimeError), create_locked(tmp_path / "here" / "a" / "b", "seed = 1"):
        raise RuntimeError
    assert list((tmp_path / "here").iterdir()) == []
    with pytest.raises(RuntimeError), create_locked(tmp_path / "here", "seed = 1") as folder:
        folder.begin({"data": "x"}, print)
        raise RuntimeError
    assert sorted(p.name for p in (tmp_path / "here").iterdir()) == ["environment.json", "recipe.toml"]


def test_a_run_that_goes_on_elsewhere_is_told_that_its_figures_may_differ(tmp_path):
    said = []
    with create_locked(tmp_path, "seed = 1") as folder:
        first = folder.begin({"threads": 2, "data": "x"}, said.append)
        assert folder.begin({"threads": 2, "data": "x"}, said.append) == first
        assert said == []
        assert folder.begin({"threads": 8, "data": "x"}, said.append) == first
    assert said == ["begun with another threads: the figures may not be those of an unbroken run"]
