"""``hcat embed`` writes the vectors that the Python interface gives, in formats that hcat reads."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest

import hcat_core
from hcat_core.cli.main import main
from hcat_core.synth.generator import generate
from hcat_core.synth.spec import preset_spec
from hcat_core.synth.write import write_cohort

NETWORK = (
    *(
        "--epochs=1",
        "--d_model=16",
        "--n_heads=2",
        "--set=estimator.members=2",
        "--set=imputer.fit_epochs=1",
    ),
    *("--set=imputer.first.fit_epochs=1", "--set=evaluation.mc_samples=2"),
)
QUICK = ("--set=evaluation.baselines=[]", "--set=evaluation.bootstrap=0", "--set=cohort.root=files", "-q")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cohort, a network trained on it, and a model without vectors."""
    place = tmp_path_factory.mktemp("embed")
    write_cohort(place / "files", generate(preset_spec("demo", patients=80, width=6)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main(["run", "enhanced", "--outdir", "run", *NETWORK, *QUICK]) == 0
        assert main(["run", "enhanced", "--outdir", "plain", "--set=estimator.use=logistic", *QUICK]) == 0
    return place


@pytest.mark.parametrize("ending", ["csv", "parquet", "h5"])
def test_every_format_holds_the_vectors_of_all_patients(folder, tmp_path, monkeypatch, ending):
    monkeypatch.chdir(folder)
    target = tmp_path / f"vectors.{ending}"
    assert main(["embed", "run", "--root", "files", "-o", str(target), "-q"]) == 0
    if ending == "h5":
        with h5py.File(target) as file:
            names, ids = file["feature_names"].asstr()[:], file["patient_id"].asstr()[:]
            found = pd.DataFrame(file["embedding"][:], columns=names, index=ids)
    else:
        found = pd.read_csv(target) if ending == "csv" else pd.read_parquet(target)
        found = found.set_index("patient_id")
    assert list(found.columns) == [f"m{member}_{place}" for member in (1, 2) for place in range(16)]
    assert len(found) == len(pd.read_csv("run/predictions.csv")) and np.isfinite(found.to_numpy()).all()


def test_the_vectors_are_those_of_python(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    assert main(["embed", "run", "--root", "files", "-o", str(tmp_path / "v.csv"), "-q"]) == 0
    written = pd.read_csv(tmp_path / "v.csv", index_col="patient_id")
    cohort = hcat_core.Cohort.from_files("run/recipe.toml")
    ours = hcat_core.load("run").embed(cohort)
    np.testing.assert_allclose(written, ours.loc[written.index], rtol=1e-5, atol=1e-6)


def test_what_cannot_be_embedded_or_written_is_said(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["embed", "plain", "--root", "files", "-o", str(tmp_path / "v.csv"), "-q"]) == 2
    assert "'logistic' makes no vector" in capsys.readouterr().err
    assert main(["embed", "run", "--root", "files", "-o", str(tmp_path / "v.xlsx"), "-q"]) == 2
    assert "write .csv, .parquet, .h5" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_json_names_the_file_and_counts(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    target = tmp_path / "v.csv"
    assert main(["embed", "run", "--root", "files", "-o", str(target), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["members"] == 2 and document["file"] == str(target) and document["patients"] > 70
