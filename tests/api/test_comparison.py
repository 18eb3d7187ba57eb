"""Methods compared in Python, and a cohort inspected, as on the command line."""

import json

import pandas as pd
import pytest

import hcat_core as hcat
from hcat_core.cli.main import main
from hcat_core.errors import UsageError

LOGISTIC = {"estimator": {"use": "logistic"}}


@pytest.fixture(scope="module")
def comparison(cohort):
    with pytest.warns(hcat.FindingWarning):
        return hcat.compare(
            cohort, {"simple": LOGISTIC, "small": "small_cohort"}, folds=2, repeats=1, baselines=False
        )


def test_the_table_has_a_row_for_each_method_and_task(comparison):
    assert comparison.table.index.tolist() == [("simple", "death_2y"), ("small", "death_2y")]
    assert comparison.table["auc"].between(0, 1).all() and "auc_sd" in comparison.table
    assert comparison.differences["name"].unique().tolist() == ["small"]
    assert comparison.best in ("simple", "small") and comparison.errors == {}


def test_its_repr_has_the_scores_and_the_notes(comparison):
    assert "small" in repr(comparison) and "Best here" in repr(comparison)
    assert "<td>small</td><td>death_2y</td>" in comparison._repr_html_()


def test_a_comparison_is_that_of_the_command_line(comparison, frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, frame in frames.items():
        frame.to_csv(f"{name}.csv")
    (tmp_path / "simple.toml").write_text(
        """
[cohort.modalities]
clinical = { path = "clinical.csv", one_hot = ["sex", "stage"] }
rna = { path = "rna.csv" }
[cohort.targets]
path = "seen.csv"
time_unit = "months"
tasks.death_2y = { time = "months", event = "dead", horizon_days = 730, outcome = "death" }
[estimator]
use = "logistic"
"""
    )
    assert main(["compare", "simple.toml", "--folds=2", "--repeats=1", "--no-baselines", "-q"]) == 0
    written = json.loads((tmp_path / "comparison/comparison.json").read_text())
    ours = comparison.document["recipes"]["simple"]["death_2y"]
    assert (
        written["recipes"]["simple"]["death_2y"] == ours and written["data"] == comparison.document["data"]
    )


def test_results_in_a_folder_are_not_computed_again(cohort, tmp_path):
    lines = []
    for _ in range(2):
        hcat.compare(
            cohort, [LOGISTIC], folds=2, repeats=1, baselines=False, outdir=tmp_path, progress=lines.append
        )
    assert len(list((tmp_path / "folds").glob("*.json"))) == 2
    assert [line.partition(":")[0] for line in lines] == ["1 of 2", "2 of 2"] * 2


def test_baselines_stand_beside_the_methods(cohort):
    found = hcat.compare(cohort, [LOGISTIC], folds=2, repeats=1)
    names = found.table.index.get_level_values("recipe")
    assert {"recipe_1", "random_forest", "coxnet"} <= set(names)


@pytest.mark.parametrize(
    "recipes, others, message",
    [
        ([], {}, "at least one"),
        (["small_cohort", "recipes/small_cohort"], {}, "two are called small_cohort"),
        (["small_cohort"], {"folds": 1}, "folds: from 2 on"),
        ([3], {}, "a dictionary or a Recipe is needed"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(cohort, recipes, others, message):
    with pytest.raises(UsageError, match=message):
        hcat.compare(cohort, recipes, **others)


def test_an_inspection_has_the_facts_of_the_command_line(cohort, frames, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, frame in frames.items():
        frame.to_csv(f"{name}.csv")
    (tmp_path / "r.toml").write_text(
        """
[cohort.modalities]
clinical = { path = "clinical.csv", one_hot = ["sex", "stage"] }
rna = { path = "rna.csv" }
[cohort.targets]
path = "seen.csv"
time_unit = "months"
tasks.death_2y = { time = "months", event = "dead", horizon_days = 730 }
[estimator]
use = "logistic"
"""
    )
    assert main(["inspect", "r.toml", "--json"]) == 0
    theirs = json.loads(capsys.readouterr().out)
    ours = json.loads(json.dumps(hcat.inspect(cohort, LOGISTIC).facts))
    for facts in (ours, theirs):
        facts.pop("targets_source")
        for modality in facts["modalities"]:
            modality.pop("source")
            modality.pop("layout")
    assert ours == theirs


def test_an_inspection_shows_tables_and_what_would_stop_a_run(cohort, frames, cohort_of):
    found = hcat.inspect(cohort)
    assert found.modalities.loc["rna", "patients"] == 60 and found.patterns["patients"].sum() == 90
    assert found.outcomes.index.tolist() == ["death_2y"] and found.refusals == ()
    told = cohort_of({**frames, "clinical": frames["clinical"].assign(code=frames["seen"].months * 30.4)})
    assert "clinical: code" in hcat.inspect(told).refusals[0] and "would stop" in repr(hcat.inspect(told))
    assert "<table>" in found._repr_html_()


def test_a_cohort_without_outcomes_is_inspected(frames):
    found = hcat.inspect(hcat.Cohort.from_frames({"rna": frames["rna"]}))
    assert found.facts["patients"] == 60 and found.outcomes.empty
    assert isinstance(found.patterns, pd.DataFrame) and "60 patients" in repr(found)
