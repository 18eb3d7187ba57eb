"""One process holds a run folder, and the message to any other names that process."""

import errno
import os
import platform
import subprocess
import sys
import threading

import pytest

from hcat_core.errors import StorageError, UsageError
from hcat_core.runs.lock import create_locked, open_locked
from hcat_core.storage.folder_lock import HOLDER, LOCK, folder_lock


def test_a_held_folder_is_refused_with_the_holders_process_host_and_time(tmp_path):
    said = rf"run is in use by process {os.getpid()} on {platform.node()} since 2\d\d\d-\d\d-\d\d \d\d:\d\d"
    with create_locked(tmp_path / "run", "seed = 1"):
        with pytest.raises(UsageError, match=said), create_locked(tmp_path / "run", "seed = 2"):
            pass
        with pytest.raises(UsageError, match=said), open_locked(tmp_path / "run"):
            pass
        assert (tmp_path / "run" / "recipe.toml").read_text() == "seed = 1"


def test_the_message_names_the_process_that_holds_it_now_and_not_one_that_was_killed(tmp_path):
    (tmp_path / HOLDER).write_text(
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


HOLD_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from hcat_core.storage.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_holds_nothing(tmp_path):
    command = [sys.executable, "-c", HOLD_UNTIL_KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"in use by process {holder.pid} on"), folder_lock(tmp_path):
            pass
        holder.kill()
    with folder_lock(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / HOLDER).read_text()
    assert list(tmp_path.iterdir()) == []


def test_of_many_threads_that_want_a_folder_at_once_one_at_a_time_has_it(tmp_path):
    inside, most, wins = [], [], []

    def work():
        for _ in range(10):
            try:
                with folder_lock(tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
                    wins.append(1)
            except UsageError:
                continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1} and wins


def test_a_file_system_without_locks_of_the_kernel_has_a_lock_file_instead(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def unsupported(descriptor, flags):
        raise OSError(errno.ENOSYS, "not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.warns(UserWarning, match="flock not supported"), folder_lock(tmp_path):
        with pytest.raises(UsageError, match=f"in use by process {os.getpid()}"), folder_lock(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


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


def test_a_run_that_goes_on_elsewhere_warns_that_its_figures_may_differ(tmp_path):
    said = []
    with create_locked(tmp_path, "seed = 1") as folder:
        first = folder.begin({"threads": 2, "data": "x"}, said.append)
        assert folder.begin({"threads": 2, "data": "x"}, said.append) == first
        assert said == []
        assert folder.begin({"threads": 8, "data": "x"}, said.append) == first
    assert said == [
        "the run was begun with another threads: the results may differ from those of an uninterrupted run"
    ]
