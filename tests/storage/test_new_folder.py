"""A new folder is filled completely, or not at all, by one process at a time."""

import os
import signal
import subprocess
import sys

import pytest

from hcat_core.errors import StorageError, UsageError
from hcat_core.storage.new_folder import held_folder, new_folder

FILL_AND_WAIT = """
import sys, time
from pathlib import Path
from hcat_core.storage.new_folder import held_folder
with held_folder(Path(sys.argv[1])) as made:
    (made / "half.txt").write_text("half")
    print("filling", flush=True)
    time.sleep(60)
"""


def fill(folder):
    with new_folder(folder) as made:
        (made / "one.txt").write_text("1")
        (made / "inner").mkdir()
        (made / "inner" / "two.txt").write_text("2")


@pytest.fixture(params=["new", "empty", "link"])
def place(tmp_path, request):
    """Where a folder is to be filled: it does not exist, is empty, or is a link to an empty one."""
    place = tmp_path / "out"
    if request.param == "empty":
        place.mkdir()
    if request.param == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to("elsewhere")
    return place


def seen(folder):
    return sorted(path.name for path in folder.rglob("*") if not path.name.startswith("."))


def test_files_and_folders_appear_together_at_the_end(tmp_path, place):
    was = place.is_symlink()
    with new_folder(place) as made:
        (made / "one.txt").write_text("1")
        (made / "inner").mkdir()
        (made / "inner" / "two.txt").write_text("2")
        assert not (place / "one.txt").exists()
    assert seen(place) == ["inner", "one.txt", "two.txt"]
    assert list(tmp_path.rglob(".*")) == []
    assert place.is_symlink() == was


@pytest.mark.parametrize("error", [OSError(28, "no space"), KeyboardInterrupt(), ValueError()])
def test_an_error_or_an_interruption_leaves_what_was_there(tmp_path, place, error):
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with (
        pytest.raises(StorageError if isinstance(error, OSError) else type(error)),
        new_folder(place) as made,
    ):
        (made / "inner").mkdir()
        (made / "inner" / "two.txt").write_text("2")
        raise error
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_an_interruption_while_the_files_move_takes_them_back(tmp_path, place, monkeypatch):
    from hcat_core.storage import new_folder as module

    def interrupted(path):
        if path in (place.resolve(), place.resolve().parent):  # after the last move, before it is on disk
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "sync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fill(place)
    monkeypatch.undo()
    assert not place.is_dir() or list(place.iterdir()) == []
    fill(place)
    assert seen(place) == ["inner", "one.txt", "two.txt"]


def test_folders_above_it_that_were_made_are_removed_again(tmp_path):
    with pytest.raises(ValueError, match="no"), new_folder(tmp_path / "a" / "b" / "c"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_and_a_file_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path, tmp_path / "file"):
        with pytest.raises(UsageError, match="is not empty"), new_folder(folder):
            raise AssertionError("nothing is written there")


def test_links_in_a_circle_and_names_that_are_too_long_are_told(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StorageError, match="leads to itself"), new_folder(tmp_path / "a"):
        raise AssertionError("nothing is written there")
    with pytest.raises(StorageError, match="shorter name"), new_folder(tmp_path / ("x" * 300)):
        raise AssertionError("nothing is written there")


@pytest.mark.parametrize("length", [246, 247, 250, 255])
def test_the_longest_names_that_a_file_system_takes_are_written(tmp_path, length):
    fill(tmp_path / ("x" * length))
    assert [len(path.name) for path in tmp_path.iterdir()] == [length]


def test_a_killed_process_is_not_in_the_way_of_the_next_and_a_living_one_is(tmp_path, place):
    command = [sys.executable, "-c", FILL_AND_WAIT, str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "filling\n"
        with pytest.raises(UsageError, match=f"out is in use by process {other.pid} on"):
            fill(place)
        other.send_signal(signal.SIGKILL)
    assert not (place / "half.txt").exists()
    fill(place)
    assert seen(place) == ["inner", "one.txt", "two.txt"]
    assert list(tmp_path.rglob(".*")) == []


def test_nothing_is_written_through_a_link_in_the_hidden_folders_place(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / ".out.partial").symlink_to("mine")
    with pytest.raises(UsageError, match="is a link"), held_folder(tmp_path / "out"):
        raise AssertionError("nothing is written there")
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_without_permission_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Ask for the right"), new_folder(tmp_path / "out"):
        raise AssertionError("nothing is written there")
