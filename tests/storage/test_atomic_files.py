"""A file is on the disk before it takes the place of the old one."""

import os
from pathlib import Path

import pytest

from hcat_core.storage.atomic_files import atomic_write


@pytest.mark.skipif(os.name == "nt", reason="names in a folder are not synced on Windows")
def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_it_goes_on(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor):
        done.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def renamed(path, target):
        done.append(("rename", path))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    with atomic_write(tmp_path / "file") as temporary:
        temporary.write_text("whole")
    assert done == [("sync", temporary), ("rename", temporary), ("sync", tmp_path)]
    assert (tmp_path / "file").read_text() == "whole"
