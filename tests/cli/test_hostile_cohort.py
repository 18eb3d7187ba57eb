"""A cohort whose names are traps and whose ids are canaries: names move nothing, and ids go nowhere."""

import csv
import json
import zipfile
from io import StringIO
from pathlib import Path

import h5py
import pytest
from rich.table import Table

from hcat_core.cli.console import InertConsole, Output
from hcat_core.cli.main import main
from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.write import write_cohort

LOGISTIC = Path(__file__).parents[2] / "recipes" / "baselines" / "logistic.toml"
NAMES = [
    "[red]red[/red]",
    "[link=https://x.example]a[/link]",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\u202edne",
    "<script>alert(1)</script>",
    ":smile:",
    r"$\frac{1}{0}$",
]
SHORT = ["--folds=3", "--repeats=1", "--no-baselines", "--jobs=1"]


def canary(row):
    """An id. Some begin like a formula, some differ only in their ending, which a warning names by row."""
    return f"{'=+-@'[row // 2 % 4]}canary{row // 2}_{row % 2}"


def site(row):
    return f"{row % 16} {NAMES[row % 4]}"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "files"
    write_cohort(folder, generate(preset_spec("demo", patients=120, width=8)))
    for path in folder.glob("*.h5"):
        with h5py.File(path, "r+") as file:
            rows = [int(i.decode().lstrip("P")) for i in file["patient_id"][...]]
            del file["patient_id"]
            file["patient_id"] = [canary(row) for row in rows]
            if path.stem in ("clinical", "semantic"):
                file["feature_names"] = [f"{name}{path.stem}" for name in NAMES]
            if path.stem == "clinical":
                file["site"] = [site(row) for row in rows]
    return folder


@pytest.fixture(scope="module")
def run(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    sets = (
        f"cohort.root={cohort}",
        "evaluation.baselines=[]",
        "evaluation.bootstrap=10",
        'cohort.groups="site"',
    )
    given = [f"--set={text}" for text in sets]
    assert main(["run", str(LOGISTIC), *given, "-q", "--outdir", str(folder)]) == 0
    return folder


def everything(path):
    """Every byte of a file, those in its archives' members too."""
    yield path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name.encode() + archive.read(name)


def leaks(folder):
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert found
    return {path.name for path in found if any(b"canary" in data for data in everything(path))}


def inert(text):
    return not any(mark in text for mark in ("\x1b", "\x07", "\u202e")) and "canary" not in text


def test_ids_are_in_the_predictions_alone_as_they_were_written(run):
    assert leaks(run) == {"predictions.csv"}
    with (run / "predictions.csv").open(newline="") as file:
        ids = {row["patient_id"] for row in csv.DictReader(file)}
    assert ids == {canary(row) for row in range(1, 121)}


def test_inspect_evaluate_and_compare_say_no_id_and_no_code(hcat, cohort, run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    code, out, err = hcat("inspect", LOGISTIC, f"--set=cohort.root={cohort}")
    assert code == 0 and "ids differ only in their ending" in err
    assert inert(out + err)
    code, out, err = hcat("evaluate", run, "--root", cohort, "--by=site", "--outdir=e")
    assert code == 0
    assert inert(out + err)
    assert leaks(tmp_path / "e") == {"predictions.csv"}
    for name in (
        "[red]red[/red]",
        "[link=https://x.example]a[/link]",
        r"\x1b[31mred\x1b[0m",
        r"\x1b]0;title\x07",
    ):
        assert name in out
    code, out, err = hcat("compare", LOGISTIC, f"--set=cohort.root={cohort}", *SHORT, "--outdir=c")
    assert code == 0
    assert inert(out + err)
    assert leaks(tmp_path / "c") == set()


def test_ids_are_no_groups(hcat, cohort, run):
    code, out, err = hcat("evaluate", run, "--root", cohort, "--by=patient_id")
    assert code == 2 and "the values are patient ids" in err
    assert inert(out + err)


def test_a_leak_is_named_by_a_name_that_moves_nothing(hcat, cohort, tmp_path):
    with h5py.File(cohort / "clinical.h5") as file:
        data = {key: file[key][...] for key in file}
    (tmp_path / "files").mkdir()
    with h5py.File(tmp_path / "files" / "clinical.h5", "w") as file:
        for key, values in data.items():
            file[key] = values
        del file["feature_names"]
        file["feature_names"] = ["days_to_\x1b[2Jx", *NAMES[1:]]
    code, _, err = hcat("run", LOGISTIC, f"--clinical={tmp_path / 'files' / 'clinical.h5'}", "--outdir=r")
    assert code == 3
    assert r"days_to_\x1b[2Jx has the name of a follow-up column" in err
    assert inert(err)


@pytest.mark.parametrize("name", NAMES)
def test_every_part_of_a_table_and_every_line_shows_a_name_as_it_is(name, capsys):
    file = StringIO()
    words = InertConsole(
        file=file, markup=False, emoji=False, highlight=False, force_terminal=True, width=200
    )
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    words.print(table)
    words.print(name)
    shown = name.encode("unicode_escape").decode() if not name.isprintable() else name
    plain = file.getvalue()
    for own in ("\x1b[1m", "\x1b[3m", "\x1b[0m"):  # rich's own, for titles and headings
        plain = plain.replace(own, "")
    assert plain.count(shown) == 4
    assert "\x1b" not in plain and "\u202e" not in plain
    Output.make(as_json=False, quiet=False).warn(name)
    assert shown in capsys.readouterr().err


def test_json_escapes_what_a_terminal_would_act_on(hcat, cohort, run):
    code, out, _ = hcat("evaluate", run, "--root", cohort, "--by=site", "--json")
    assert code == 0
    assert inert(out)
    assert set(json.loads(out)["groups"]["site"]) == {site(row) for row in range(16)}
