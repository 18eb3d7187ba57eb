"""New slides of a run that was trained with a map of slides and patients."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

RANDOM = np.random.default_rng(0)


def slides(folder, names):
    folder.mkdir()
    for name in names:
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["features"] = RANDOM.normal(size=(5, 4)).astype(np.float32)
    return folder


def table(path, rows):
    path.write_text("slide_id,case_id\n" + "".join(f"{slide}.svs,{patient}\n" for slide, patient in rows))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 60 patients with a slide each, and clinical data."""
    from hcat_core.cli.main import main

    folder = tmp_path_factory.mktemp("slides")
    names = [f"P{row:02}" for row in range(60)]
    slides(folder / "wsi", [f"{name}-DX1" for name in names])
    table(folder / "map.csv", [(f"{name}-DX1", name) for name in names])
    died = RANDOM.permutation(np.arange(60) % 2)
    clinical = pd.DataFrame({"patient_id": names, "age": RANDOM.normal(60, 9, 60), "died": died})
    clinical.to_csv(folder / "clinical.csv", index=False)
    recipe = folder / "recipe.toml"
    recipe.write_text(
        f"""
[cohort]
root = "{folder.as_posix()}"
[cohort.modalities]
clinical = {{ path = "clinical.csv", columns = ["age"] }}
wsi = {{ use = "h5", path = "wsi", slide_map = "map.csv" }}
[cohort.targets]
path = "clinical.csv"
[cohort.targets.tasks.death]
label = "died"
[estimator]
use = "logistic"
[evaluation]
baselines = []
"""
    )
    assert main(["run", str(recipe), "-q", "--outdir", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def new(run, tmp_path):
    """Two new slides, one of them called as a slide of training."""
    return slides(tmp_path / "new", ["P00-DX1", "N2-DX1"])


def patients(out):
    return [one["patient_id"] for one in json.loads(out)["patients"]]


def test_new_slides_need_their_own_map_and_the_message_names_the_option(hcat, run, new):
    for files in (f"--input=wsi={new}", f"--set=cohort.modalities.wsi.path={new}"):
        code, _, err = hcat("predict", run, files)
        assert code == 2
        assert "wsi: the run was trained with a map of slides and patients (map.csv)" in err
        assert "--slide-map wsi=FILE" in err


@pytest.mark.parametrize("name", ["wsi=", ""])
def test_the_map_of_new_slides_is_an_option(hcat, run, new, tmp_path, name):
    table(tmp_path / "new.csv", [("P00-DX1", "A"), ("N2-DX1", "B")])
    code, out, err = hcat("predict", run, "--input=wsi=new", f"--slide-map={name}new.csv", "--json")
    assert code == 0, err
    assert patients(out) == ["B", "A"]


def test_slides_that_are_called_as_their_patients_need_no_map(hcat, run, new):
    code, out, err = hcat("predict", run, f"--input=wsi={new}", "--slide-map=wsi=", "--json")
    assert code == 0, err
    assert patients(out) == ["N2-DX1", "P00-DX1"]


def test_a_folder_of_files_has_its_own_map_or_the_message_names_the_option(hcat, run, tmp_path):
    root = tmp_path / "files"
    root.mkdir()
    slides(root / "wsi", ["N1-DX1"])
    (root / "clinical.csv").write_text("patient_id,age\nN1,50\n")
    code, _, err = hcat("predict", run, f"--root={root}")
    assert code == 2 and "--slide-map wsi=FILE" in err
    table(root / "map.csv", [("N1-DX1", "N1")])
    code, out, err = hcat("predict", run, f"--root={root}", "--json")
    assert code == 0, err
    assert patients(out) == ["N1"]


def test_a_map_of_a_modality_without_slides_is_refused(hcat, run, new):
    code, _, err = hcat("predict", run, f"--input=wsi={new}", "--slide-map=slides=map.csv")
    assert code == 2 and "the run knows no modality named slides; it was trained on clinical, wsi" in err
    table(Path("m.csv"), [("P00-DX1", "A"), ("N2-DX1", "B")])
    files = (f"--input=wsi={new}", "--slide-map=wsi=m.csv", "--slide-map=clinical=m.csv")
    code, _, err = hcat("predict", run, *files)
    assert code == 2 and "clinical has a map and no slides: name them too, --input clinical=FILE" in err
    Path("c.csv").write_text("patient_id,age\nN1,50\n")
    code, _, err = hcat("predict", run, *files, "--input=clinical=c.csv")
    assert code == 2 and '"table" has no such parameter' in err
