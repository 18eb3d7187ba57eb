"""Everything a run writes stays in its folder: names from recipes and files, and links that lie in wait."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hcat_builtin.estimators.serialisation import save_models
from hcat_core.errors import UsageError
from hcat_core.recipe.names import check_name, check_names
from hcat_core.runs.folder import RunFolder
from hcat_core.storage.checkpoint import write_checkpoint, write_text
from hcat_core.storage.safe_path import safe_path
from hcat_core.training.checkpoints import Checkpoints

LEAVING = ["..", ".", "", "../x", "/etc/x", "a/b", "a\\b", "a\0b"]


@pytest.mark.parametrize("name", LEAVING)
def test_a_path_is_no_name(tmp_path, name):
    with pytest.raises(UsageError, match="is not the name of a file"):
        safe_path(tmp_path, name)
    assert check_name(name, "heads")


@pytest.mark.parametrize("name", ["a b", "-x", ".x", "a.b", "a\n", "ä", "a" * 65, "\u202ea"])
def test_names_that_some_file_system_or_reader_would_take_otherwise_are_refused(name):
    assert check_name(name, "heads")


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[A-Za-z0-9_./\\-]{1,70}", fullmatch=True))
def test_every_name_that_passes_stays_inside(tmp_path_factory, name):
    if not check_name(name, "heads"):
        folder = tmp_path_factory.getbasetemp()
        for file in (name, f"best_{name}.safetensors", f".{name}.partial"):
            assert safe_path(folder, file).resolve().parent == folder.resolve()


def test_names_differ_by_more_than_capitals():
    assert check_names(["survival", "recurrence"], "heads") == []
    assert "differ only in capitals" in check_names(["survival", "Survival"], "heads")[0].message


def test_a_link_that_leads_out_is_refused_and_one_that_stays_is_not(tmp_path):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for path in (folder, elsewhere):
        path.mkdir()
    (folder / "checkpoints").symlink_to(elsewhere)
    (folder / "circle").symlink_to("circle")
    (folder / "kept").mkdir()
    (folder / "near").symlink_to("kept")
    with pytest.raises(
        UsageError, match=f"is a link to {elsewhere}: hcat writes only inside .* Remove the link"
    ):
        safe_path(folder, "checkpoints")
    with pytest.raises(UsageError, match="a link in a circle"):
        safe_path(folder, "circle")
    assert safe_path(folder, "near") == folder / "near"
    (tmp_path / "mine").symlink_to(folder)  # where the folder itself lies is the user's choice
    assert safe_path(tmp_path / "mine", "near") == tmp_path / "mine" / "near"


def test_a_link_planted_at_a_temporary_name_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name, write in (
        ("a.json", lambda path: write_text(path, "new")),
        ("a.safetensors", lambda path: write_checkpoint(path, {"x": torch.zeros(1)}, {})),
    ):
        (tmp_path / f".{name}.partial").symlink_to(victim)
        write(tmp_path / name)
        assert victim.read_text() == "mine"
        assert (tmp_path / name).stat().st_size > 0 and not (tmp_path / name).is_symlink()


def test_a_link_at_the_name_itself_is_replaced(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "metrics.jsonl").symlink_to(victim)
    write_text(tmp_path / "metrics.jsonl", "new")
    assert (victim.read_text(), (tmp_path / "metrics.jsonl").read_text()) == ("mine", "new")


def test_a_task_with_a_path_for_a_name_writes_nothing(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(UsageError):
        Checkpoints(tmp_path / "run", {}, {}).best("../../x")
    with pytest.raises(UsageError):
        save_models(tmp_path / "run", {"../x": [1]}, {})
    assert [path.name for path in tmp_path.rglob("*")] == ["run"]


@pytest.mark.parametrize("name", ["checkpoints", "estimator"])
def test_a_run_folder_whose_parts_lie_elsewhere_is_not_opened(tmp_path, name):
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.toml").write_text("")
    (tmp_path / "elsewhere").mkdir()
    (run / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link to"):
        RunFolder.open(run)
