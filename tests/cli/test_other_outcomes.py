"""Classes and numbers from files to predictions, on the command line."""

import json

import numpy as np
import pandas as pd
import pytest

from hcat_core.cli.main import main

pytestmark = pytest.mark.usefixtures("without_figures")

TASKS = """
[cohort.targets.tasks.subtype]
kind = "multiclass"
label = "histology"
[cohort.targets.tasks.score]
kind = "continuous"
value = "score"
unit = "points"
[cohort.targets.tasks.death]
time = "days"
event = "dead"
horizon_days = 730
"""
RECIPE = f"""
[cohort.modalities.rna]
path = "rna.csv"
[cohort.modalities.image]
path = "image.csv"
[cohort.targets]
path = "out.csv"
missing = ["NA"]
{TASKS}
[estimator]
use = "logistic"
[evaluation]
bootstrap = 0
baselines = []
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of 150 patients, a recipe, and its finished run."""
    folder = tmp_path_factory.mktemp("other")
    rng = np.random.default_rng(3)
    n = 150
    z, ids = rng.normal(size=(n, 3)), [f"P{row:03d}" for row in range(n)]
    for name in ("rna", "image"):
        cells = pd.DataFrame(z + 0.5 * rng.normal(size=(n, 3)), columns=[f"{name}{i}" for i in range(3)])
        cells.insert(0, "patient_id", ids)
        cells[rng.random(n) < 0.85].to_csv(folder / f"{name}.csv", index=False)
    histology = np.array(["Luminal A", "Luminal B", "basal"])[
        (2 * z + rng.gumbel(size=z.shape)).argmax(axis=1)
    ]
    histology[:4] = "NA"
    days = rng.exponential(700 * np.exp(-z[:, 0])).round() + 1
    seen = {
        "patient_id": ids,
        "histology": histology,
        "score": (30 + 5 * z[:, 1] + 2 * rng.normal(size=n)).round(2),
        "days": np.minimum(days, 1500),
        "dead": (days < 1500).astype(int),
    }
    pd.DataFrame(seen).to_csv(folder / "out.csv", index=False)
    (folder / "r.toml").write_text(RECIPE)
    assert main(["run", str(folder / "r.toml"), "--outdir", str(folder / "run"), "-q"]) == 0
    return folder


def test_predictions_have_classes_that_add_up_and_values_in_their_unit(folder):
    found = pd.read_csv(folder / "run" / "predictions.csv")
    classes = ["p_subtype_luminal_a", "p_subtype_luminal_b", "p_subtype_basal"]
    assert np.allclose(found[classes].sum(axis=1), 1, atol=1e-5)
    known = found["subtype_label"].dropna()
    assert set(known) == {"Luminal A", "Luminal B", "basal"} and len(found) - len(known) in range(1, 5)
    test = found[found["split"] == "test"]
    assert (test["subtype_label"] == test["subtype_predicted"]).mean() > 0.5
    assert test["score_low"].lt(test["score_high"]).all() and test["score"].between(10, 50).all()
    assert np.corrcoef(test["score"], test["score_label"])[0, 1] > 0.5


def test_a_new_patient_gets_a_class_and_a_value_in_words_and_as_json(folder, capsys):
    few = pd.read_csv(folder / "rna.csv").head(1)
    few.to_csv(folder / "new.csv", index=False)
    arguments = ["predict", str(folder / "run"), "--input", f"rna={folder / 'new.csv'}"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert text.count(", the most likely class") == 1
    assert " points (90 % interval " in text and "counts the event as predicted" in text
    assert main([*arguments, "--json"]) == 0
    (patient,) = json.loads(capsys.readouterr().out)["patients"]
    tasks = patient["tasks"]
    assert list(patient["classes"]) == ["subtype"]
    assert (
        max((one for one in tasks.values() if one["kind"] == "class"), key=lambda one: one["probability"])[
            "class"
        ]
        == patient["classes"]["subtype"]
    )
    score = tasks["score"]
    assert score["unit"] == "points" and "probability" not in score and "threshold" not in score
    assert score["base_rate"] + score["contributions"]["rna"] == pytest.approx(score["value"], abs=1e-4)


def test_a_first_recipe_takes_words_for_classes_and_a_value_for_a_number(folder, hcat, tmp_path):
    files = (f"--input=rna={folder / 'rna.csv'}", f"--outcomes={folder / 'out.csv'}")
    code, out, err = hcat("init", *files, "--label", "histology", "--value", "score", "-o", "first.toml")
    assert code == 0, err
    assert "the classes of histology: " in out and "150 values from" in out
    text = (tmp_path / "first.toml").read_text()
    assert 'kind = "multiclass"' in text and 'kind = "continuous"' in text and 'missing = ["NA"]' in text
    code, _, err = hcat("run", "first.toml", "--outdir=run", "-q", "--set=evaluation.bootstrap=0")
    assert code == 0, err
    assert "p_histology_basal" in (tmp_path / "run" / "predictions.csv").read_text().splitlines()[0]


def test_a_converted_cohort_has_the_same_classes_and_numbers(folder, hcat, tmp_path):
    code, _, err = hcat("convert", folder / "r.toml", "converted", "--to", "csv")
    assert code == 0, err
    out = pd.read_csv(tmp_path / "converted" / "outcomes.csv")
    assert out["histology"].nunique() == 3 and out["score"].notna().all()


def test_a_word_that_is_no_class_stops_before_anything_is_written(folder, hcat, tmp_path):
    listed = 'cohort.targets.tasks.subtype.classes=["Luminal A", "basal"]'
    code, _, err = hcat("run", folder / "r.toml", "--outdir=run", f"--set={listed}")
    assert code == 3 and '"Luminal B"' in err and "cohort.targets.missing" in err
    assert not (tmp_path / "run").exists()
