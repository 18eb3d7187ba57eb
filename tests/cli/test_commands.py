import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from hcat_core.cli.main import hcat as command_line
from hcat_core.cli.tables import print_table

RECIPES = Path(__file__).parents[2] / "recipes"
HANCOCK = Path(__file__).parents[3] / "shared" / "data" / "hancock" / "h5"


def test_list_components_has_every_kind(hcat):
    code, out, _ = hcat("list-components", "--json")
    assert code == 0
    listed = {(c["kind"], c["name"]) for c in json.loads(out)["components"]}
    assert {
        ("reader", "h5"),
        ("reader", "table"),
        ("imputer", "none"),
        ("imputer", "mean"),
        ("fusion", "enhanced_hcat"),
        ("head", "binary"),
        ("loss", "bce"),
        ("loss", "focal"),
        ("loss", "infonce"),
        ("loss", "kl"),
        ("loss", "imputation"),
    } <= listed


def test_list_components_of_one_kind(hcat):
    _, out, _ = hcat("list-components", "head", "--json")
    assert {c["kind"] for c in json.loads(out)["components"]} == {"head"}


def test_readers_that_no_recipe_can_name_are_not_listed(hcat):
    for json_option in ((), ("--json",)):
        code, out, _ = hcat("list-components", "reader", *json_option)
        assert code == 0 and "h5ad" in out and "DataFrame" not in out


def test_every_listed_component_can_be_shown(hcat):
    _, out, _ = hcat("list-components", "--json")
    for component in json.loads(out)["components"]:
        code, out, err = hcat("show", component["kind"], component["name"], "--json")
        assert (code, err) == (0, "")
        shown = json.loads(out)
        assert len(shown["documentation"]) > 40
        assert all(row["type"] for row in shown["parameters"])


def test_show_tells_types_ranges_and_defaults(hcat):
    _, out, _ = hcat("show", "fusion", "enhanced_hcat")
    assert "a number in [0, 1)" in out and "0.2" in out


def test_synth_writes_and_refuses_to_write_twice(hcat):
    arguments = ("synth", "data", "--patients=40", "--width=6", "--mechanism=mnar", "--json")
    code, out, _ = hcat(*arguments)
    assert code == 0
    assert set(json.loads(out)["files"]) == {
        "clinical.h5",
        "semantic.h5",
        "temporal.h5",
        "pathological.h5",
        "spatial.h5",
        "truth.h5",
    }
    code, _, err = hcat(*arguments)
    assert code == 2
    assert "is not empty" in err


@pytest.mark.skipif(not HANCOCK.is_dir(), reason="the HANCOCK files are not here")
def test_inspect_counts_hancock_as_its_readme_does(hcat):
    code, out, _ = hcat("inspect", RECIPES / "hancock.toml", f"--set=cohort.root={HANCOCK}", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["patients"] == 763
    assert {m["name"]: m["patients"] for m in found["modalities"]} == {
        "clinical": 763,
        "semantic": 712,
        "temporal": 692,
        "pathological": 763,
        "spatial": 760,
    }
    assert sum(p["patients"] for p in found["patterns"]) == 763
    counts = {t["name"]: (t["event"], t["event_free"], t["unknown"]) for t in found["tasks"]}
    # Of 174 patients not followed for two years without a recurrence, 52 had died: they are event-free.
    assert counts == {"survival": (173, 243, 347), "recurrence": (133, 456 + 52, 174 - 52)}


def test_inspect_prints_who_has_what(hcat, cohort_folder):
    code, out, _ = hcat("inspect", RECIPES / "enhanced.toml", f"--set=cohort.root={cohort_folder}")
    assert code == 0
    for part in ("120 patients", "patterns of missingness", "event-free", "cells not"):
        assert part in out
    assert "clinical: clinical.h5: one row per patient: patient_id and embedding (" in out
    assert "spatial: spatial.h5: several rows per patient, " in out


def test_no_table_is_cut_off_where_the_output_is_narrow():
    console = Console(width=40, file=io.StringIO())
    table = Table(box=None)
    cells = ("recurrence", "0.731 [0.642, 0.811]", "0.744 [0.651, 0.826]", "no detectable difference")
    for _ in cells:
        table.add_column("", no_wrap=True)
    table.add_row(*cells)
    print_table(console, table)
    assert all(cell in console.file.getvalue() for cell in cells)


def test_a_misspelt_command_is_answered_by_the_one_that_was_meant(hcat):
    code, _, err = hcat("inspct", "recipe.toml")
    assert code == 2 and 'Did you mean "inspect"?' in err


def test_an_unknown_command_is_answered_by_all_of_them(hcat):
    code, _, err = hcat("zzz")
    assert code == 2 and "compare-imputers" in err and "init" in err


def test_a_misspelt_option_is_answered_by_the_one_that_was_meant(hcat):
    code, _, err = hcat("run", "enhanced.toml", "--epoch=3")
    assert code == 2 and "--epochs" in err


def test_the_versions_that_results_depend_on_are_shown(hcat):
    code, out, _ = hcat("--version")
    assert code == 0
    assert out.startswith("hcat, version ")
    for name in ("python 3.", "torch ", "numpy ", "scikit-learn ", "h5py "):
        assert name in out


def test_help_has_whole_sentences_and_no_line_is_wider_than_a_terminal(hcat):
    _, out, _ = hcat("--help")
    assert "..." not in out.split("Commands:")[1]
    code, out, _ = hcat("run", "--help")
    assert code == 0 and "--use-advanced-imputation / --no-advanced-imputation\n" in out
    assert all(len(line) <= 80 for line in out.split("\n"))


def test_a_misspelt_table_is_answered_by_the_one_that_was_meant(hcat):
    code, _, err = hcat("show", "cohrt")
    assert code == 2 and 'no table is named "cohrt". Did you mean "cohort"?' in err


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["insp"], "plain,inspect"),
        (["run", "--zzz"], ""),
        (["run", "enh"], "plain,enhanced.toml"),
        (["run", "mine/"], "file,mine/"),
        (["show", "imputer", "gau"], "plain,gaussian"),
        (["show", "cohort", "gau"], ""),
        (["run", "r.toml", "--stri"], "plain,--strict"),
    ],
)
def test_the_shell_completes_commands_options_recipes_and_components(monkeypatch, capsys, typed, offered):
    monkeypatch.setenv("COMP_WORDS", " ".join(["hcat", *typed]))
    monkeypatch.setenv("COMP_CWORD", str(len(typed)))
    monkeypatch.setenv("_HCAT_COMPLETE", "bash_complete")
    with pytest.raises(SystemExit):
        command_line.main(args=[], prog_name="hcat")
    lines = capsys.readouterr().out.splitlines()
    assert offered in lines and (offered or lines == [""])
