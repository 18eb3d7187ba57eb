"""hcat convert: the same cohort in another layout, and a recipe that runs on it."""

import json
import sys
from pathlib import Path

import h5py
import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
HANCOCK = Path(__file__).parents[3] / "shared" / "data" / "hancock" / "h5"
LOGISTIC = RECIPES / "baselines" / "logistic.toml"
QUICK = ("--set=evaluation.bootstrap=20", "--set=evaluation.baselines=[]", "-q")


def fingerprint(hcat, recipe, *arguments):
    code, out, err = hcat("inspect", recipe, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)["fingerprint"]


@pytest.mark.parametrize(
    ("place", "to", "recipe", "said"),
    [
        ("all.h5mu", (), "all.toml", "MuData, modality spatial: mod/spatial/X ("),
        ("out", ("--to=h5ad",), "out/recipe.toml", "AnnData: X ("),
        ("out", (), "out/recipe.toml", "one row per patient: patient_id and embedding ("),
        ("out", ("--to=csv",), "out/recipe.toml", "CSV: ids in patient_id"),
    ],
)
def test_the_same_cohort_in_every_layout(hcat, cohort_folder, place, to, recipe, said):
    root = f"--set=cohort.root={cohort_folder}"
    code, out, err = hcat("convert", LOGISTIC, place, *to, root, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["recipe"] == recipe and all(
        Path(file).stat().st_size == s for file, s in told["files"].items()
    )
    before = fingerprint(hcat, LOGISTIC, root)
    assert before == told["fingerprint"] == fingerprint(hcat, recipe)
    _, out, _ = hcat("inspect", recipe, "--json")
    assert said in {m["name"]: m["layout"] for m in json.loads(out)["modalities"]}["spatial"]


def test_a_run_on_the_converted_cohort_predicts_the_same(hcat, cohort_folder):
    root = f"--set=cohort.root={cohort_folder}"
    assert hcat("convert", LOGISTIC, "all.h5mu", root, "-q")[0] == 0
    assert hcat("run", LOGISTIC, root, "--outdir=before", *QUICK)[0] == 0
    assert hcat("run", "all.toml", "--outdir=after", *QUICK)[0] == 0
    assert Path("before/predictions.csv").read_bytes() == Path("after/predictions.csv").read_bytes()
    # The run folder answers for files of another layout, and for those of its own.
    code, before, err = hcat("evaluate", "after", "--root", ".", "--json")
    assert code == 0, err
    inputs = [
        f"--{name}={cohort_folder / name}.h5" for name in ("clinical", "semantic", "temporal", "spatial")
    ]
    inputs += [
        f"--pathological={cohort_folder / 'pathological'}.h5",
        f"--targets={cohort_folder / 'clinical.h5'}",
    ]
    code, after, err = hcat("evaluate", "after", *inputs, "--json")
    assert code == 0, err
    assert json.loads(before)["metrics"] == json.loads(after)["metrics"]


def test_neither_anndata_nor_mudata_is_needed(hcat, cohort_folder, monkeypatch):
    for name in ("anndata", "mudata"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    assert hcat("list-components", "-q")[0] == 0
    root = f"--set=cohort.root={cohort_folder}"
    for place, to in (("all.h5mu", "h5mu"), ("each", "h5ad")):
        code, _, err = hcat("convert", LOGISTIC, place, f"--to={to}", root, "-q")
        assert code == 0, err
    assert fingerprint(hcat, "all.toml") == fingerprint(hcat, "each/recipe.toml")


def test_what_is_there_is_never_written_over(hcat, cohort_folder):
    root = f"--set=cohort.root={cohort_folder}"
    assert hcat("convert", LOGISTIC, "all.h5mu", root, "-q")[0] == 0
    before = Path("all.h5mu").read_bytes()
    code, _, err = hcat("convert", LOGISTIC, "all.h5mu", root)
    assert code == 2 and "exists already" in err and "Traceback" not in err
    assert Path("all.h5mu").read_bytes() == before


def test_a_damaged_source_is_a_data_error_and_leaves_nothing(hcat, tmp_path):
    with h5py.File(tmp_path / "clinical.h5", "w") as file:
        file["image"] = [1.0]
    before = sorted(p.name for p in tmp_path.iterdir())
    code, _, err = hcat("convert", LOGISTIC, "out", "--clinical", "clinical.h5")
    assert code == 3 and "clinical.h5: no embedding found" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.skipif(not HANCOCK.is_dir(), reason="the HANCOCK files are not here")
@pytest.mark.parametrize("to", ["h5mu", "csv"])
def test_hancock_is_the_same_cohort(hcat, to):
    root = f"--set=cohort.root={HANCOCK}"
    place, recipe = ("hancock.h5mu", "hancock.toml") if to == "h5mu" else ("hancock", "hancock/recipe.toml")
    code, _, err = hcat("convert", RECIPES / "hancock.toml", place, f"--to={to}", root, "-q")
    assert code == 0, err
    assert fingerprint(hcat, recipe) == fingerprint(hcat, RECIPES / "hancock.toml", root)
