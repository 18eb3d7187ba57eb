"""The page on HANCOCK's published files: from CSV to a report by the page's commands, and in Python."""

import re
import shlex
import warnings
from pathlib import Path

import pytest

import hcat_core as hcat
from hcat_core.cli.main import main

ROOT = Path(__file__).parents[2]
FEATURES = ROOT.parent / "shared/data/hancock/features"
PAGE = (ROOT / "docs/how-to/hancock.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def commands(block):
    lines = block.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.strip()]


@pytest.fixture
def features(tmp_path, monkeypatch):
    if not FEATURES.is_dir():
        pytest.skip("HANCOCK is not here")
    (tmp_path / "features").symlink_to(FEATURES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_takes_under_ten_commands_or_fifteen_lines_of_python():
    assert len(commands("".join(blocks("sh")))) < 10
    assert len([line for line in blocks("python")[0].splitlines() if line.strip()]) < 15


@pytest.mark.slow
def test_none_of_its_commands_is_refused_and_a_report_is_written(features):
    to_the_report = commands(blocks("sh")[0])
    assert [command[0] for command in to_the_report] == ["init", "inspect", "run"]
    for command in to_the_report:
        assert main([*command, "-q"]) == 0, command
    assert (features / "first/report.html").is_file()


@pytest.mark.slow
def test_its_python_writes_a_report(features):
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hcat.FindingWarning)
        exec(blocks("python")[0], names)
    assert names["run"].report == Path("second/report.html")
    assert names["run"].report.is_file()
    labels = names["cohort"].data.targets.labels
    assert [(labels == kind).sum() for kind in (1, 0, -1)] == [173, 243, 347]
