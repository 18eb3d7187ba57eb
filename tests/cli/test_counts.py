"""Counts in the messages of commands agree with their number."""

import re

import pytest

from hcat_core.text.counted import counted

ONE_OF_SEVERAL = re.compile(
    r"\b1 (patients|modalities|members|numbers|files|features|findings|columns|rows)\b"
)


@pytest.mark.parametrize(
    ("n", "words", "said"),
    [
        (1, ("patient",), "1 patient"),
        (0, ("patient",), "0 patients"),
        (2, ("modality", "modalities"), "2 modalities"),
        (1, ("patient has", "patients have"), "1 patient has"),
    ],
)
def test_one_is_singular_and_all_else_plural(n, words, said):
    assert counted(n, *words) == said


def test_commands_on_one_patient_speak_of_one_patient(hcat, finished_run, cohort_folder, tmp_path):
    import h5py

    with h5py.File(cohort_folder / "clinical.h5") as old, h5py.File(tmp_path / "one.h5", "w") as new:
        for name in ("patient_id", "embedding"):
            new[name] = old[name][:1]
    for command in (
        ("predict", finished_run, "--clinical=one.h5", "-o", "p.csv"),
        ("embed", finished_run, "--clinical=one.h5", "-o", "v.csv"),
        ("impute", finished_run, "--clinical=one.h5", "--outdir=imputed"),
    ):
        code, out, err = hcat(*command)
        assert code == 0, err
        assert "1 patient" in out or command[0] == "impute"
        assert not ONE_OF_SEVERAL.search(out + err), out + err
