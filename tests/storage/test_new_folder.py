"""A new folder is filled completely, or not at all."""

import pytest

from hcat_core.errors import StorageError, UsageError
from hcat_core.storage.new_folder import new_folder


def test_files_and_folders_appear_together_at_the_end(tmp_path):
    with new_folder(tmp_path / "out") as made:
        (made / "one.txt").write_text("1")
        (made / "inner").mkdir()
        (made / "inner" / "two.txt").write_text("2")
        assert [p.name for p in (tmp_path / "out").iterdir()] == [made.name]
    assert sorted(p.name for p in (tmp_path / "out").rglob("*")) == ["inner", "one.txt", "two.txt"]


@pytest.mark.parametrize("exists", [True, False])
def test_an_error_leaves_nothing(tmp_path, exists):
    if exists:
        (tmp_path / "out").mkdir()
    with pytest.raises(StorageError, match="Free some space"), new_folder(tmp_path / "out") as made:
        (made / "inner").mkdir()
        (made / "inner" / "two.txt").write_text("2")
        raise OSError(28, "no space")
    assert [p.name for p in tmp_path.rglob("*")] == (["out"] if exists else [])


def test_a_folder_that_is_not_empty_and_a_file_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path, tmp_path / "file"):
        with pytest.raises(UsageError, match="is not empty"), new_folder(folder):
            raise AssertionError("nothing is written there")
