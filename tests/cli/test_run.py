import csv
import json
import shutil
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from hcat_core.cli.main import main
from hcat_core.runs import run_analysis
from hcat_core.storage.checkpoint import read_checkpoint

RECIPES = Path(__file__).parents[2] / "recipes"
MODALITIES = ("clinical", "semantic", "temporal", "pathological", "spatial")
SUMMARY = "enhanced_hcat_training_summary.json"


def predictions(folder):
    with (Path(folder) / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_every_file_of_the_document_and_prints_each_epoch(small_run, tmp_path):
    code, out, err = small_run()
    assert (code, err) == (0, "")
    assert "epoch   1/2" in out and "survival AUC" in out and "recurrence AUC" in out
    run = tmp_path / "run"
    assert {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()} == {
        "checkpoints/best_average.safetensors",
        "checkpoints/best_recurrence.safetensors",
        "checkpoints/best_survival.safetensors",
        "checkpoints/final.safetensors",
        "checkpoints/last.safetensors",
        "enhanced_hcat_training_summary.json",
        "environment.json",
        "metrics.jsonl",
        "model_card.md",
        "predictions.csv",
        "recipe.toml",
        "report.html",
        "trained.safetensors",
    }
    summary = json.loads((run / SUMMARY).read_text())
    assert set(summary) == {
        "verdicts",
        "run",
        "metrics",
        "data",
        "environment",
        "recipe",
        "history",
        "analysis",
    }
    assert summary["data"]["patients"] == 120
    assert set(summary["metrics"]) == {"train", "validation", "test"}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines == summary["history"]


def test_predictions_have_one_row_a_patient_with_its_split_and_a_probability_per_task(finished_run):
    rows = predictions(finished_run)
    assert len({row["patient_id"] for row in rows}) == len(rows) == 120
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    for name in ("p_death_5y", "p_recurrence_2y"):
        for row in rows:
            low, p, high = (float(row[name + end]) for end in ("_low", "", "_high"))
            assert 0 <= low <= high <= 1 and 0 <= p <= 1


def test_patient_ids_are_in_the_predictions_alone(small_run, fitted_imputer, tmp_path, cohort_folder):
    data = tmp_path / "data"
    shutil.copytree(cohort_folder, data)
    for name in MODALITIES:
        with h5py.File(data / f"{name}.h5", "r+") as file:
            file["patient_id"][...] = [f"canary-{i.decode()}" for i in file["patient_id"][...]]
    _, out, _ = small_run(*fitted_imputer, f"--set=cohort.root={data}")
    assert all(row["patient_id"].startswith("canary-") for row in predictions("run"))
    others = [p for p in Path("run").rglob("*") if p.is_file() and p.name != "predictions.csv"]
    assert len(others) == 12
    assert [p for p in others if b"canary-" in p.read_bytes()] == []
    assert "canary-" not in out


def test_the_saved_recipe_runs_again_to_the_same_predictions(finished_run, hcat, tmp_path):
    code, _, _ = hcat("run", finished_run / "recipe.toml", "--outdir=again")
    assert code == 0
    assert predictions(finished_run) == predictions(tmp_path / "again")


def test_json_puts_one_document_on_stdout(small_run):
    code, out, err = small_run("--json")
    assert code == 0
    assert json.loads(out)["metrics"]["test"]["survival"]["patients"] > 0
    assert "epoch   1/2" in err


def test_an_imputer_that_keeps_patients_is_announced_before_the_folder_is_shared(small_run):
    code, _, err = small_run("--epochs=1", "--set=imputer.use=iterative", "--set=imputer.first.use=knn")
    assert code == 0
    assert "imputer knn keeps training patients in its state" in err
    assert "keeps training patients" not in small_run("--epochs=1", outdir="other")[2]


@pytest.mark.parametrize(
    "imputer",
    [
        "{use='none'}",
        "{use='mean'}",
        "{use='knn'}",
        "{use='gaussian'}",
        "{use='vae', fit_epochs=2}",
        "{use='attention', fit_epochs=2}",
    ],
)
def test_any_imputer_can_be_swapped_in(small_run, imputer):
    code, _, err = small_run("--epochs=1", "--set=evaluation.bootstrap=0", f"--set=imputer={imputer}")
    assert code == 0
    warned = [line for line in err.splitlines() if "keeps training patients" not in line]
    assert warned == []


def test_quiet_says_nothing(small_run):
    assert small_run("-q") == (0, "", "")


def test_a_resumed_run_gives_bit_identical_files(small_run, fitted_imputer, hcat, tmp_path, monkeypatch):
    small_run(*fitted_imputer, "--epochs=4", outdir="whole")
    from hcat_core.training import loop

    step, calls = loop.training_step, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 8:  # three steps an epoch
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(loop, "training_step", interrupted)
    code, _, err = small_run(*fitted_imputer, "--epochs=4", outdir="broken")
    assert code == 130
    assert "hcat run --resume broken" in err
    read_checkpoint(tmp_path / "broken" / "checkpoints" / "last.safetensors")
    monkeypatch.setattr(loop, "training_step", step)
    code, _, _ = hcat("run", "--resume", "broken")
    assert code == 0
    for name in ("final", "best_average", "last"):
        one, _ = read_checkpoint(tmp_path / "whole" / "checkpoints" / f"{name}.safetensors")
        other, _ = read_checkpoint(tmp_path / "broken" / "checkpoints" / f"{name}.safetensors")
        assert one.keys() == other.keys()
        assert [k for k in one if not torch.equal(one[k], other[k])] == [], name
    assert predictions(tmp_path / "whole") == predictions(tmp_path / "broken")


def test_a_finished_run_resumed_changes_nothing(finished_run, hcat, tmp_path):
    shutil.copytree(finished_run, "run")
    before = (tmp_path / "run" / "predictions.csv").read_bytes()
    assert hcat("run", "--resume", "run")[0] == 0
    assert (tmp_path / "run" / "predictions.csv").read_bytes() == before


def test_a_run_does_not_go_on_with_other_data(small_run, hcat, tmp_path, cohort_folder):
    moved = tmp_path / "data"
    shutil.copytree(cohort_folder, moved)
    small_run(f"--set=cohort.root={moved}")
    (tmp_path / "run" / "trained.safetensors").unlink()  # written last: the run is not finished
    with h5py.File(moved / "semantic.h5", "r+") as file:
        file["embedding"][0, 0] = 9.0
    code, _, err = hcat("run", "--resume", "run")
    assert code == 3
    assert "fingerprint" in err


def test_a_folder_in_use_is_left_alone(small_run, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    code, _, err = small_run()
    assert code == 2
    assert "is not empty" in err and "--resume" in err
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_the_documents_command_line_with_underscores_and_hyphens(hcat, cohort_folder, tmp_path):
    files = [f"--{name}={cohort_folder / name}.h5" for name in MODALITIES]
    code, _, err = hcat(
        "run",
        RECIPES / "document.toml",
        *files,
        "--outdir=run",
        *("--epochs", "1", "--batch", "40", "--lr", "1e-4", "--device", "cpu"),
        *("--early-stop-patience", "3", "--d-model", "16", "--n_heads", "2"),
        *("--n-global-layers", "1", "--dropout", "0.1", "--n_impute_iterations", "2"),
        *("--alpha_surv", "1", "--alpha_rec", "2", "--alpha-kl", "0.1"),
        *("--alpha_impute", "0.3", "--moddrop", "0.1", "--moddrop-mode", "per_batch"),
        *("--emb-noise", "0.02", "--set=evaluation.baselines=[]"),
    )
    assert code == 0
    recipe = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    assert recipe["training"]["epochs"] == 1
    assert recipe["training"]["batch"] == 40
    assert recipe["training"]["moddrop_mode"] == "per_batch"
    assert recipe["training"]["emb_noise"] == 0.02
    assert recipe["fusion"]["d_model"] == 16
    assert recipe["fusion"]["n_global_layers"] == 1
    assert [loss["weight"] for loss in recipe["losses"]] == [1, 2, 0.1, 0.3]
    assert "demo" not in recipe["cohort"]


def test_a_modality_not_named_is_absent(small_run, cohort_folder, tmp_path):
    files = (f"--{name}={cohort_folder}/{name}.h5" for name in ("clinical", "spatial"))
    code, _, _ = small_run(*files, "--epochs=1")
    assert code == 0
    summary = json.loads((tmp_path / "run" / SUMMARY).read_text())
    assert set(summary["data"]["modalities"]) == {"clinical", "spatial"}


def test_three_mistakes_are_reported_at_once(small_run, tmp_path):
    code, _, err = small_run("--set=imputer.use=meen", "--set=training.epocs=1", "--dropout=2")
    assert code == 2
    assert "3 problems" in err
    assert not (tmp_path / "run").exists()


def test_branches_that_do_not_fit_the_cohort_are_a_problem_of_the_recipe(small_run, tmp_path):
    code, _, err = small_run('--set=fusion.branches={a=["clinical"], b=["lab"]}')
    assert code == 2
    assert "fusion" in err and "no such modality: lab" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("what", ["missing", "truncated", "collision", "outside", "no_label"])
def test_bad_input_is_one_message_exit_3_and_nothing_half_written(small_run, tmp_path, cohort_folder, what):
    data = tmp_path / "data"
    shutil.copytree(cohort_folder, data)
    path = data / "temporal.h5"
    expected = "temporal.h5"
    if what == "missing":
        path.unlink()
    elif what == "truncated":
        path.write_bytes(path.read_bytes()[:3000])
    elif what == "collision":
        with h5py.File(path, "r+") as file:
            ids = file["patient_id"][...]
            ids[:2] = ["7", "07"]
            file["patient_id"][...] = ids
    elif what == "outside":
        with h5py.File(path, "r+") as file:
            del file["embedding"]
            file["embedding"] = h5py.ExternalLink(str(data / "spatial.h5"), "/embedding")
    else:
        with h5py.File(data / "clinical.h5", "r+") as file:
            del file["rec_2yr_label"]
        expected = "rec_2yr_label"
    code, out, err = small_run(f"--set=cohort.root={data}")
    assert code == 3
    assert expected in err
    assert "Traceback" not in err and len(err.strip().splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


def test_debug_shows_the_traceback(small_run, tmp_path):
    code, _, err = small_run("--set=cohort.root=/nowhere", "--debug")
    assert code == 3
    assert "Traceback" in err


def test_the_demo_is_written_once_announced_and_read_back(hcat, tmp_path):
    small = ("--set=cohort.demo.patients=80", "--set=cohort.demo.width=8")
    code, out, _ = hcat("inspect", RECIPES / "enhanced.toml", *small)
    assert code == 0
    assert "wrote a synthetic demo cohort" in out
    assert "80 patients" in out
    before = {p.name: p.read_bytes() for p in (tmp_path / "hcat-demo").iterdir()}
    code, out, _ = hcat("inspect", RECIPES / "enhanced.toml", *small)
    assert code == 0
    assert "wrote" not in out
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "hcat-demo").iterdir()}


def test_the_demo_is_written_below_the_callers_folder_alone(hcat, tmp_path, monkeypatch):
    text = (
        f'extends = "{RECIPES / "enhanced.toml"}"\n[cohort]\nroot = "../out"\ndemo = {{ patients = 80 }}\n'
    )
    (tmp_path / "mine.toml").write_text(text)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code, _, err = hcat("inspect", tmp_path / "mine.toml")
    assert code == 2 and "only inside the current directory" in err
    assert not (tmp_path / "out").exists()


CALIBRATION = tuple(
    f"imputer.{name}" for name in ("factors", "overall", "block_quantiles", "gap_quantiles")
)


@pytest.mark.parametrize(
    ("sides", "measured_on_validation"),
    [(("test",), ()), (("validation", "test"), CALIBRATION)],
)
def test_the_held_out_patients_shape_nothing_that_is_fitted(
    small_run, finished_run, fitted_imputer, tmp_path, cohort_folder, sides, measured_on_validation
):
    """Test patients nothing at all; validation patients their own measure, the calibration, alone."""
    held_out = {r["patient_id"] for r in predictions(finished_run) if r["split"] in sides}
    data = tmp_path / "data"
    shutil.copytree(cohort_folder, data)
    for name in MODALITIES:
        with h5py.File(data / f"{name}.h5", "r+") as file:
            rows = np.array([i.decode() in held_out for i in file["patient_id"][...]])
            cells = file["embedding"][...]
            cells[rows] = cells[rows] * 10 + 3
            file["embedding"][...] = cells
    small_run(*fitted_imputer, f"--set=cohort.root={data}", outdir="two")
    one, _ = read_checkpoint(finished_run / "checkpoints" / "final.safetensors")
    two, _ = read_checkpoint(tmp_path / "two" / "checkpoints" / "final.safetensors")
    changed = {k for k in one if not torch.equal(one[k], two[k])}
    assert changed == set(measured_on_validation)
    assert any(k.startswith("standardiser.") for k in one)
    assert any(k.startswith("imputer.inner.") for k in one)


def test_usage_errors_exit_2(capsys):
    assert main(["run"]) == 2
    assert main(["no-such-command"]) == 2
    assert main(["run", "--no-such-option"]) == 2
    assert main(["show", "imputer", "meen"]) == 2
    assert 'Did you mean "mean"?' in capsys.readouterr().err


def test_a_baseline_runs_like_any_recipe(hcat, tmp_path):
    from pathlib import Path

    from hcat_core.synth.generator import generate, preset_spec
    from hcat_core.synth.write import write_cohort

    write_cohort(tmp_path / "c", generate(preset_spec("demo", patients=150, width=8)))
    recipe = Path(__file__).resolve().parents[2] / "recipes" / "baselines" / "logistic.toml"
    code, out, err = hcat("run", str(recipe), "--set", f"cohort.root={tmp_path / 'c'}", "--outdir",
                        str(tmp_path / "run"), "--json")  # fmt: skip
    assert code == 0, err
    summary = json.loads(out)
    assert summary["metrics"]["test"]["survival"]["auc"] > 0.5
    # Validation patients were learned from after they had chosen the thresholds: they are not scored.
    assert summary["metrics"]["validation"]["survival"]["patients"] == 0
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        "enhanced_hcat_training_summary.json",
        "environment.json",
        "estimator",
        "model_card.md",
        "predictions.csv",
        "recipe.toml",
        "report.html",
        "trained.safetensors",
    }


def test_the_summary_says_of_how_many_patients_the_expensive_parts_are(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(run_analysis, "MOST_ANALYSED", 10)
    monkeypatch.setattr(run_analysis, "MOST_FOR_CLOSED_FORM", 40)
    code, out, _ = small_run("--epochs=1")
    assert code == 0 and "scoring the imputer on hidden blocks, and fitting gaussian" in out
    summary = json.loads((tmp_path / "run" / SUMMARY).read_text())
    assert summary["analysis"]["imputation_patients"] == {"test": 10, "closed_form_fitted_on": 40}
    assert summary["analysis"]["importance"]["patients"] == 10
    assert summary["data"]["split"]["test"]["patients"] > 10
    page = (tmp_path / "run" / "report.html").read_text()
    assert "The closed form was fitted on 40 training patients, drawn at random." in page


def test_a_follow_up_column_among_the_features_stops_the_run_with_its_name(hcat, tmp_path):
    from pathlib import Path

    import h5py

    from hcat_core.synth.generator import generate, preset_spec
    from hcat_core.synth.write import write_cohort

    folder = tmp_path / "c"
    write_cohort(folder, generate(preset_spec("demo", patients=150, width=3)))
    with h5py.File(folder / "clinical.h5", "a") as file:
        file["feature_names"] = ["age", "days_to_last_information", "stage"]
    recipe = Path(__file__).resolve().parents[2] / "recipes" / "baselines" / "logistic.toml"
    arguments = ["run", str(recipe), "--set", f"cohort.root={folder}", "--outdir", str(tmp_path / "run")]
    code, _, err = hcat(*arguments)
    assert code == 3
    assert "clinical: days_to_last_information has the name of a follow-up column" in err
    assert 'cohort.allow = ["days_to_last_information"]' in err
    assert not (tmp_path / "run").exists()
    code, out, err = hcat("inspect", str(recipe), "--set", f"cohort.root={folder}", "--json")
    assert code == 0 and [leak["feature"] for leak in json.loads(out)["leaks"]] == [
        "days_to_last_information"
    ]
    code, _, err = hcat(*arguments, "--set", 'cohort.allow=["days_to_last_information"]')
    assert code == 0, err


def test_the_mean_is_not_compared_with_itself(small_run):
    said = "the imputer is no better than the mean of the training patients"
    code, out, _ = small_run("--set=imputer.use=mean")
    assert code == 0 and said not in out
    findings = json.loads(Path("run", SUMMARY).read_text())["analysis"]["leakage"]["findings"]
    assert not any(said in finding for finding in findings)
