"""Whatever lies where a command reads or writes: a sentence and an exit code, and nothing is lost."""

import os
import shutil
from pathlib import Path

import pytest

CONTENT = b"mine"
LONG = "x" * 300
NOT_UTF8 = os.fsdecode(b"caf\xe9")


def a_file(path):
    path.write_bytes(CONTENT)


def a_folder_with_files(path):
    path.mkdir()
    (path / "mine").write_bytes(CONTENT)


def an_empty_folder(path):
    path.mkdir()


def a_link_to_itself(path):
    path.symlink_to(path.name)


def links_in_a_circle(path):
    path.symlink_to(f"{path.name}.other")
    path.with_name(f"{path.name}.other").symlink_to(path.name)


def a_link_to_nowhere(path):
    path.symlink_to("nowhere")


def a_pipe(path):
    os.mkfifo(path)


def nothing(path):
    """Nothing is there."""


HERE = [
    a_file,
    a_folder_with_files,
    an_empty_folder,
    a_link_to_itself,
    links_in_a_circle,
    a_link_to_nowhere,
]
NAMES = ["place", LONG, NOT_UTF8, f"{LONG}/inner", "file/inner"]


def contents(folder):
    """What lies there: names, bytes of small files, targets of links."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file() and path.stat().st_size < 100
        else b""
        for path in folder.rglob("*")
    }


@pytest.fixture
def commands(finished_run, cohort_folder, tmp_path):
    """Command lines by what the given path is to them."""
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        f'extends = "{Path(__file__).parents[2] / "recipes" / "baselines" / "logistic.toml"}"\n'
        f'[cohort]\nroot = "{cohort_folder}"\n[evaluation]\nbaselines = []\nbootstrap = 0\n'
    )
    files = ("--root", cohort_folder)
    return {
        # what is written
        "run": lambda place: ("run", recipe, "--outdir", place, "-q"),
        "convert": lambda place: ("convert", recipe, place, "--to", "h5", "-q"),
        "convert mu": lambda place: ("convert", recipe, f"{place}.h5mu", "-q"),
        "compare": lambda place: ("compare", recipe, "--outdir", place, "--folds=2", "--repeats=1",
                                  "--no-baselines", "--jobs=1", "-q"),
        "impute": lambda place: ("impute", finished_run, *files, "--outdir", place, "-q"),
        "evaluate": lambda place: ("evaluate", finished_run, *files, "--outdir", place, "-q"),
        "synth": lambda place: ("synth", place, "--patients=30", "--width=4", "-q"),
        # what is read
        "inspect": lambda place: ("inspect", place, "-q"),
        "input": lambda place: ("inspect", recipe, "--input", f"clinical={place}", "-q"),
        "root": lambda place: ("inspect", recipe, f"--set=cohort.root={place}", "-q"),
        "predict": lambda place: ("predict", place, *files, "-q"),
        "predict input": lambda place: ("predict", finished_run, "--clinical", place, "-q"),
        "predict root": lambda place: ("predict", finished_run, "--root", place, "-q"),
        "evaluate targets": lambda place: ("evaluate", finished_run, *files, "--targets", place, "-q"),
        "resume": lambda place: ("run", "--resume", place, "-q"),
        "predict csv": lambda place: ("predict", finished_run, *files, "--output", f"{place}.csv",
                                      "--no-explain", "-q"),
    }  # fmt: skip


WRITING = ("run", "convert", "convert mu", "compare", "impute", "evaluate", "synth", "predict csv")
READING = ("inspect", "input", "root", "predict", "predict input", "predict root",
           "evaluate targets", "resume")  # fmt: skip


def ends_in_words(hcat, arguments, folder):
    """Run; the exit code is that of a usage error, of data or of a disk, or all went well."""
    before = contents(folder)
    code, out, err = hcat(*arguments)
    assert code in (0, 2, 3, 4), err
    assert "internal error" not in err and "Traceback" not in err + out
    after = contents(folder)
    if code:
        assert err.strip(), "an error says something"
        assert after == before
    assert all(after.get(name) == content for name, content in before.items() if content == CONTENT)
    return code, err


@pytest.mark.parametrize("make", HERE)
@pytest.mark.parametrize("command", WRITING)
def test_what_is_in_the_place_of_the_output_is_kept(hcat, commands, tmp_path, command, make):
    place = tmp_path / {"convert mu": "place.h5mu", "predict csv": "place.csv"}.get(command, "place")
    make(place)
    if command == "predict csv" and make is a_file:
        return  # a file of predictions is replaced
    code, _ = ends_in_words(hcat, commands[command](tmp_path / "place"), tmp_path)
    if make in (a_file, a_folder_with_files) and command not in ("compare", "predict csv"):
        assert code == 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", WRITING)
def test_any_name_of_the_output_is_written_or_refused(hcat, commands, tmp_path, command, name):
    (tmp_path / "file").write_bytes(CONTENT)
    code, _ = ends_in_words(hcat, commands[command](tmp_path / name), tmp_path)
    assert code == 0 if name == "place" else code in (0, 2, 4)
    assert not [path for path in tmp_path.rglob(".*")]


@pytest.mark.parametrize("make", [nothing, *HERE, a_pipe])
@pytest.mark.parametrize("command", READING)
def test_what_cannot_be_read_is_told(hcat, commands, tmp_path, command, make):
    make(tmp_path / "place")
    code, err = ends_in_words(hcat, commands[command](tmp_path / "place"), tmp_path)
    assert code in (2, 3, 4) and ("place" in err or "nowhere" in err)


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("command", READING)
def test_any_name_of_an_input_that_is_not_there_is_told(hcat, commands, tmp_path, command, name):
    (tmp_path / "file").write_bytes(CONTENT)
    code, _ = ends_in_words(hcat, commands[command](tmp_path / name), tmp_path)
    assert code in (2, 3, 4)


@pytest.mark.parametrize("command", ["root", "predict root", "input", "evaluate targets"])
def test_what_is_there_under_a_name_that_is_not_utf8_is_refused_with_that_reason(
    hcat, commands, cohort_folder, tmp_path, command
):
    place = tmp_path / NOT_UTF8
    if command.endswith("root"):
        shutil.copytree(cohort_folder, place)
    else:
        shutil.copy(cohort_folder / "clinical.h5", place)
    code, err = ends_in_words(hcat, commands[command](place), tmp_path)
    assert code == 2 and "is not UTF-8" in err
