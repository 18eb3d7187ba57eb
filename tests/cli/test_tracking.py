"""What trackers write is what a run and a comparison report."""

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

RECIPES = Path(__file__).parents[2] / "recipes"
SUMMARY = "enhanced_hcat_training_summary.json"


def curves(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_has_the_losses_of_epochs_and_the_scores_of_the_run(small_run, tmp_path):
    code, _, err = small_run("--track=tensorboard")
    assert code == 0, err
    summary = json.loads((tmp_path / "run" / SUMMARY).read_text())
    found = curves(tmp_path / "run" / "tensorboard")
    losses = [(epoch["epoch"], pytest.approx(epoch["train_loss"])) for epoch in summary["history"]]
    assert found["train_loss"] == losses
    (((_, brier)),) = found["test/survival/brier"]
    assert brier == pytest.approx(summary["metrics"]["test"]["survival"]["brier"])


def test_mlflow_has_one_run_with_its_recipe_and_scores(small_run, tmp_path):
    from mlflow.tracking import MlflowClient

    code, _, err = small_run("--track=mlflow")
    assert code == 0, err
    summary = json.loads((tmp_path / "run" / SUMMARY).read_text())
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlruns.db'}")
    experiment = client.get_experiment_by_name("hcat runs")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params["fusion.use"] == summary["recipe"]["fusion"]["use"]
    last = summary["history"][-1]["train_loss"]
    assert run.data.metrics["train_loss"] == pytest.approx(last)
    assert run.data.metrics["test/survival/brier"] == summary["metrics"]["test"]["survival"]["brier"]


def test_each_fold_of_a_comparison_is_tracked(hcat, cohort_folder, tmp_path):
    code, _, err = hcat(
        "compare", RECIPES / "baselines/logistic.toml", f"--set=cohort.root={cohort_folder}",
        "--folds=2", "--repeats=1", "--no-baselines", "--jobs=1", "--track=tensorboard",
    )  # fmt: skip
    assert code == 0, err
    document = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    folder = tmp_path / "comparison" / "tensorboard" / "logistic" / "repeat 1"
    aucs = [curves(folder / f"fold {fold}")["tasks/survival/auc"][0][1] for fold in (1, 2)]
    kept = [json.loads(p.read_text()) for p in (tmp_path / "comparison" / "folds").glob("*.json")]
    assert sorted(aucs) == pytest.approx(sorted(one["tasks"]["survival"]["auc"] for one in kept))
    assert document
