"""hcat predict, impute, evaluate: a run folder alone answers for patients that it has not seen."""

import csv
import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from hcat_core.cli.prediction_text import what_to_measure
from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.write import write_cohort

ROOT = Path(__file__).resolve().parents[2]
MODALITIES = ("clinical", "semantic", "temporal", "pathological", "spatial")
SMALL = [
    "imputer.use=gaussian",
    "fusion.d_model=16",
    "fusion.n_heads=2",
    "fusion.n_global_layers=1",
    "training.epochs=2",
    "training.lr=1e-3",
    "evaluation.mc_samples=8",
    "evaluation.bootstrap=20",
    "evaluation.baselines=[]",
    "estimator.members=1",
    "estimator.evidence=false",
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "files"
    write_cohort(folder, generate(preset_spec("demo", patients=160, width=8)))
    return folder


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    from hcat_core.cli.main import main

    runs = {}
    for name, recipe, sets in (
        ("neural", "enhanced.toml", SMALL),
        ("logistic", "baselines/logistic.toml", ["evaluation.baselines=[]"]),
        ("coxnet", "baselines/coxnet.toml", ["evaluation.baselines=[]"]),
    ):
        runs[name] = tmp_path_factory.mktemp("runs") / name
        given = [f"--set={text}" for text in (f"cohort.root={files}", *sets)]
        arguments = ["run", str(ROOT / "recipes" / recipe), *given, "-q"]
        assert main([*arguments, "--outdir", str(runs[name])]) == 0
    return runs


def rows_of(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["neural", "logistic", "coxnet"])
def test_the_run_folder_alone_predicts_what_the_run_predicted(hcat, trained, files, tmp_path, name):
    shutil.copytree(trained[name], tmp_path / "moved")
    code, _, err = hcat("predict", "moved", "--root", files, "-o", "p.csv", "--no-explain")
    assert (code, err) == (0, "")
    then = {r["patient_id"]: r for r in rows_of(trained[name] / "predictions.csv")}
    now = rows_of("p.csv")
    assert len(now) == 160
    tolerance = 0.12 if name == "neural" else 2e-6  # other draws: sampling is by batch
    for row in now:
        for output in ("p_death_5y", "p_recurrence_2y"):
            before = then[row["patient_id"]]
            assert float(row[output]) == pytest.approx(float(before[output]), abs=tolerance)
            for end in ("_low", "_high"):  # empty where the estimator knows no interval, never of no width
                assert [bool(one[output + end]) for one in (row, before)] == [name == "neural"] * 2


def one_patient(files, folder, modalities, edit=lambda name, cells: cells):
    """Files of a single patient who has every modality."""
    ids = [set(h5py.File(files / f"{m}.h5")["patient_id"][...]) for m in MODALITIES]
    patient = sorted(set.intersection(*ids))[0]
    folder.mkdir()
    arguments = []
    for name in modalities:
        with h5py.File(files / f"{name}.h5") as old, h5py.File(folder / f"{name}.h5", "w") as new:
            rows = np.flatnonzero(old["patient_id"][...] == patient)
            new["patient_id"] = old["patient_id"][...][rows]
            new["embedding"] = edit(name, old["embedding"][...][rows])
        arguments += [f"--{name}", folder / f"{name}.h5"]
    return patient.decode(), arguments


def test_a_file_without_any_measured_value_is_warned_of(hcat, trained, files, tmp_path):
    def edit(name, cells):
        return np.full_like(cells, np.nan) if name == "semantic" else cells

    _, arguments = one_patient(files, tmp_path / "one", ["clinical", "semantic"], edit)
    for command, more in (("predict", ["-q", "-o", "one.csv"]), ("impute", ["--outdir", "imputed"])):
        code, _, err = hcat(command, trained["neural"], *arguments, *more)
        assert code == 0
        assert "semantic.h5: no patient has a measured value of semantic: every cell" in err
        assert "no patient has a measured value of clinical" not in err


def test_one_patient_with_one_modality_and_with_all(hcat, trained, files, tmp_path):
    patient, arguments = one_patient(files, tmp_path / "one", ["clinical"])
    code, out, _ = hcat("predict", trained["neural"], *arguments, "--json")
    assert code == 0
    (record,) = json.loads(out)["patients"]
    assert record["patient_id"] == patient and record["modalities"] == ["clinical"]
    assert set(record["missing"]) == set(record["imputed"]) == set(MODALITIES[1:])
    for task in record["tasks"].values():
        low, high = task["interval_90"]
        assert low < task["probability"] < high
        assert set(task["contributions"]) == {"clinical"}
        explained = task["base_rate"] + sum(task["contributions"].values())
        assert explained == pytest.approx(task["probability"], abs=1e-5)
        assert set(task["expected_width_if_measured"]) == set(MODALITIES[1:])
        reduction = task["expected_variance_reduction"]
        assert set(reduction) == set(MODALITIES[1:])
        counts = {m: r["value"] for m, r in reduction.items() if r["value"] > 2 * r["error"]}
        assert task["measure_next"] == max(counts, key=counts.get, default=None)
        assert set(task["tipping_points"]) == set(MODALITIES[1:])
        assert all(shift is None or abs(shift) <= 3 for shift in task["tipping_points"].values())
    code, _, err = hcat("predict", trained["neural"], *arguments, "-q", "-o", "one.csv")
    assert (code, err) == (0, "")
    (row,) = rows_of("one.csv")
    for name, task in record["tasks"].items():
        assert row[f"{name}_measure_next"] == (task["measure_next"] or "")
        assert row[f"{name}_variance_reduction_by_clinical"] == ""  # it is present
        for modality, reduction in task["expected_variance_reduction"].items():
            columns = [f"{name}_variance_reduction_{what}_{modality}" for what in ("by", "error")]
            written = [float(row[column]) for column in columns]
            assert written == pytest.approx([reduction["value"], reduction["error"]], abs=1e-8)
        assert row[f"{name}_tipping_point_of_clinical"] == ""
        for modality, shift in task["tipping_points"].items():
            column = row[f"{name}_tipping_point_of_{modality}"]
            assert (float(column) if column else None) == shift

    _, arguments = one_patient(files, tmp_path / "all", MODALITIES)
    code, out, _ = hcat("predict", trained["neural"], *arguments, "--json")
    (whole,) = json.loads(out)["patients"]
    assert code == 0 and whole["missing"] == [] and whole["imputed"] == {}
    for task in whole["tasks"].values():
        assert set(task["contributions"]) == set(MODALITIES)
        assert task["measure_next"] is None
        assert "tipping_points" not in task
    code, out, _ = hcat("predict", trained["neural"], *arguments)
    assert code == 0 and "for anyone" in out and patient in out


@pytest.mark.parametrize(
    ("variance", "interval", "sentence"),
    [
        (
            0.0064,
            [0.1, 0.4],
            "measuring lab would change the probability most, by about 0.08 either way; the interval, 0.30 "
            "wide, would then be about 0.12 wide",
        ),
        (0.0064, None, "measuring lab would change the probability most, by about 0.08 either way"),
        (1e-6, [0.1, 0.4], "no modality that is missing would change the probability by as much as 0.01"),
    ],
)
def test_a_measurement_that_would_not_change_the_prediction_visibly_is_not_recommended(
    variance, interval, sentence
):
    record = {
        "kind": "event",
        "interval_90": interval,
        "measure_next": "lab",
        "expected_variance_reduction": {"lab": {"value": variance, "error": variance / 10}},
        "expected_width_if_measured": {"lab": 0.12},
    }
    assert what_to_measure(record) == sentence


def test_a_model_that_knows_time_gives_risk_over_time(hcat, trained, files, tmp_path):
    _, arguments = one_patient(files, tmp_path / "one", MODALITIES)
    code, out, _ = hcat("predict", trained["coxnet"], *arguments, "--json")
    task = json.loads(out)["patients"][0]["tasks"]["survival"]
    curve = task["curve"]["probability"]
    assert code == 0 and len(curve) == 12 and curve == sorted(curve)
    assert curve[-1] == pytest.approx(task["probability"], abs=1e-5)
    assert task["interval_90"] is None


def test_what_does_not_fit_the_model_is_an_error(hcat, trained, files, tmp_path):
    run = trained["neural"]
    _, wide = one_patient(files, tmp_path / "wide", ["clinical"], lambda _, c: np.hstack([c, c]))
    code, _, err = hcat("predict", run, *wide)
    assert code == 3 and "clinical: the file has 16 features a row, the model was trained on 8" in err
    _, odd = one_patient(files, tmp_path / "odd", ["clinical"])
    code, _, err = hcat("predict", run, "--input", f"genes={odd[1]}")
    assert code == 3 and "the model knows no modality named 'genes'" in err
    code, _, err = hcat("predict", run)
    assert code == 2 and "name the patients' files" in err
    _, empty = one_patient(files, tmp_path / "empty", ["clinical"], lambda _, c: c * np.nan)
    code, _, err = hcat("predict", run, *empty)
    assert code == 3 and "no measured value in any modality" in err
    code, _, err = hcat("predict", run, *odd, "--set", "imputer.use=mean")
    assert code == 2 and "a trained run is fixed" in err
    code, _, err = hcat("predict", run, *odd, "-o", "p.xlsx")
    assert code == 2 and "write .csv or .json" in err
    (tmp_path / "half").mkdir()
    shutil.copy(run / "recipe.toml", tmp_path / "half")
    code, _, err = hcat("predict", tmp_path / "half", *odd)
    assert code == 2 and "did not finish" in err
    _, units = one_patient(files, tmp_path / "units", ["clinical"], lambda _, c: c * 1000)
    code, _, err = hcat("predict", run, *units)
    assert code == 0 and "are outside the training range" in err and "same unit" in err
    assert not list(tmp_path.glob("p.*"))


def test_completed_files_keep_what_was_measured_and_can_be_read_again(hcat, trained, files, tmp_path):
    code, out, _ = hcat("impute", trained["neural"], "--root", files, "--outdir", "done", "--json")
    assert code == 0
    assert {Path(f["path"]).name for f in json.loads(out)["files"]} == {f"{m}.h5" for m in MODALITIES}
    for name in MODALITIES:
        with h5py.File(files / f"{name}.h5") as old, h5py.File(tmp_path / "done" / f"{name}.h5") as new:
            ids = list(new["patient_id"][...])
            assert len(ids) == len(set(ids)) == 160
            cells, imputed, std = (new[k][...] for k in ("embedding", "imputed", "std"))
            assert np.isfinite(cells).all()
            assert ((std > 0) == imputed).all()
            low, high = new["low"][...], new["high"][...]
            assert (low <= high).all() and (low < high)[imputed].mean() > 0.95
            assert (low == cells)[~imputed].all() and (high == cells)[~imputed].all()
            if name != "spatial":  # its rows are patches, and what comes out is one row a patient
                place = [ids.index(i) for i in old["patient_id"][...]]
                before = old["embedding"][...]
                has = np.isfinite(before)
                assert (cells[place][has] == before[has]).all() and not imputed[place][has].any()
            lacking = sorted(set(range(160)) - {ids.index(i) for i in old["patient_id"][...]})
            assert imputed[lacking].all()
            # File units: what was imputed lies where the measured values lie.
            if lacking:
                assert abs(cells[lacking].mean() - np.nanmean(before)) < 3 * np.nanstd(before)
    code, _, _ = hcat("predict", trained["neural"], "--root", "done", "-q", "-o", "again.json")
    assert code == 0
    code, _, err = hcat("impute", trained["neural"], "--root", files, "--outdir", "done")
    assert code == 2 and "not empty" in err
    code, _, err = hcat("impute", trained["logistic"], "--root", files, "--outdir", "none")
    assert code == 2 and "does not impute" in err and not (tmp_path / "none").exists()


def test_an_outcome_informed_imputer_is_announced(hcat, files, tmp_path):
    sets = [
        f"--set={text}"
        for text in (
            f"cohort.root={files}",
            *SMALL,
            "training.imputer_gradient=true",
            "imputer.frozen=false",
        )
    ]
    sets = [text.replace("gaussian", "attention") for text in sets]
    assert hcat("run", ROOT / "recipes/enhanced.toml", *sets, "--outdir", "run", "-q")[0] == 0
    code, _, err = hcat("impute", "run", "--root", files, "--outdir", "done", "-q")
    assert code == 0 and "outcome-informed" in err
    assert "outcome-informed" in (tmp_path / "run" / "report.html").read_text()


def test_another_cohort_is_scored_with_nothing_fitted_again(hcat, trained, files, tmp_path):
    other = tmp_path / "other"
    write_cohort(other, generate(preset_spec("demo", patients=120, width=8)))
    with h5py.File(other / "clinical.h5", "r+") as file:
        file["site"] = np.array([b"north", b"south"] * 60)[: len(file["patient_id"])]
        file["age"] = np.linspace(40, 80, len(file["patient_id"]))
    before = {p: p.read_bytes() for p in trained["coxnet"].rglob("*") if p.is_file()}
    code, out, err = hcat(
        "evaluate",
        trained["coxnet"],
        "--root",
        other,
        "--by",
        "site",
        "--by",
        "age",
        "--outdir",
        "e",
        "--json",
    )
    found = json.loads(out)
    assert code == 0 and "trained on" not in err
    assert {p: p.read_bytes() for p in trained["coxnet"].rglob("*") if p.is_file()} == before
    m = found["metrics"]["survival"]
    assert 0 < m["auc"] < 1 and m["c_index_95"][0] < m["c_index"] < m["c_index_95"][1]
    assert set(found["groups"]["site"]) >= {"north", "south"} and len(found["groups"]["age"]) >= 3
    sites = found["groups"]["site"].values()
    assert sum(g["survival"]["patients"] for g in sites) == m["patients"]
    assert sum(p["patients"] for p in found["patterns"]) == found["patients"] == 120
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text()) == found
    assert len(rows_of(tmp_path / "e" / "predictions.csv")) == 120
    with h5py.File(other / "clinical.h5") as file:
        ids = {i.decode() for i in file["patient_id"][...]}
    page = (tmp_path / "e" / "evaluation.html").read_text()
    text = (tmp_path / "e" / "evaluation.json").read_text() + page
    assert not any(f'"{patient}"' in text or f">{patient}<" in text for patient in ids)
    assert all(reason in page for verdict in found["verdicts"] for reason in verdict["reasons"])
    assert "Scores by site" in page and "north" in page and "Who lacks what" in page
    for heading, figure in (("sensitivity", r"\d\.\d\d"), ("Brier score", r"\d\.\d{3}")):
        assert re.search(rf'data-heading="{heading}"><span>{figure} <span class="soft">\(0\.', page), (
            heading
        )
    assert "<script" not in page and "src=" not in page


def test_doubtful_evaluations_are_warned_about(hcat, trained, files, tmp_path):
    run = trained["coxnet"]
    code, out, err = hcat("evaluate", run, "--root", files, "--json")
    assert code == 0 and "this is the cohort that the run was trained on" in err
    assert {one["word"] for one in json.loads(out)["verdicts"]} == {"not known"}
    shutil.copytree(files, tmp_path / "units")
    with h5py.File(tmp_path / "units" / "clinical.h5", "r+") as file:
        file["embedding"][:, 2] = file["embedding"][:, 2] * 1000
    code, _, err = hcat("evaluate", run, "--root", tmp_path / "units", "-q")
    assert code == 0 and "clinical: 1 of 8 features are outside the training range" in err and "[2]" in err
    code, _, err = hcat("evaluate", run, "--root", files, "--by", "shoe_size", "-q")
    assert code == 2 and "no feature has this name, and as a column" in err
    code, _, err = hcat("evaluate", run, "--input", f"semantic={files / 'semantic.h5'}", "-q")
    assert code == 2 and "--targets FILE" in err
    given = ["--input", f"semantic={files / 'semantic.h5'}", "--targets", files / "clinical.h5"]
    code, out, _ = hcat("evaluate", run, *given, "--json")
    assert code == 0 and json.loads(out)["sources"].keys() == {"semantic"}


def test_outcomes_come_from_a_table_as_well(hcat, trained, files, tmp_path):
    with h5py.File(files / "clinical.h5") as file:
        columns = {n: file[n][()] for n in file if n not in ("embedding", "quality", "patient_id")}
        ids = file["patient_id"].asstr()[()]
    pd.DataFrame({"patient_id": ids, **columns}).to_csv(tmp_path / "outcomes.csv", index=False)
    run = trained["coxnet"]
    code, out, err = hcat(
        "evaluate", run, "--root", files, "--targets", tmp_path / "outcomes.csv", "--json"
    )
    assert code == 0, err
    _, same, _ = hcat("evaluate", run, "--root", files, "--json")
    assert json.loads(out)["metrics"] == json.loads(same)["metrics"]
