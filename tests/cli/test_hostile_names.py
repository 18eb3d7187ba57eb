"""What a file's author named things cannot steer the user's terminal, nor break a table."""

from pathlib import Path

import h5py
import numpy as np

from hcat_core.cli.console import Output

RECIPE = Path(__file__).parents[2] / "recipes" / "enhanced.toml"


def test_an_error_spells_out_what_would_steer_the_terminal(hcat, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["embed\x1b[2Jding"] = np.ones(3)
    code, out, err = hcat("inspect", RECIPE, "--input", f"clinical={tmp_path / 'a.h5'}")
    assert code == 3
    assert "embed\\x1b[2Jding" in err
    assert "\x1b" not in out + err


def test_whatever_the_file(hcat, tmp_path):
    (tmp_path / "a.csv").write_text("patient_id,no\x1b[2Jte\np1,text\n")
    code, out, err = hcat("inspect", RECIPE, "--input", f"clinical={tmp_path / 'a.csv'}")
    assert code == 3
    assert "column no\\x1b[2Jte" in err
    assert "\x1b" not in out + err


def test_so_do_warnings_and_words(capsys):
    output = Output.make(as_json=False, quiet=False)
    output.warn("one \x1b[31m line\nand \u202eanother")
    output.say("a word \x1b[31m")
    said, warned = capsys.readouterr()
    assert warned == "hcat: warning: one \\x1b[31m line\nand \\u202eanother\n"
    assert said == "a word \\x1b[31m\n"


def test_a_patient_whose_id_is_markup_is_shown_as_spelt(hcat, finished_run, tmp_path):
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["patient_id"] = np.array([b"[/red]<b>x"])
        file["embedding"] = np.ones((1, 8), np.float32)
    code, out, _ = hcat("predict", finished_run, "--clinical", tmp_path / "one.h5", "--no-explain")
    assert code == 0
    assert "[/red]<b>x" in out
