"""Fit on DataFrames, and what a fitted run says of new patients, in Python and on the command line."""

import gc
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hcat_core as hcat
from hcat_core.cli.main import main
from hcat_core.errors import DataError, RecipeError, UsageError
from hcat_core.recipe.shipped import shipped_folder

RECIPE = """
extends = "{shipped}"
[cohort]
root = "."
[cohort.modalities]
semantic = false
temporal = false
pathological = false
spatial = false
rna = {{ use = "table", path = "rna.csv" }}
clinical = {{ use = "table", path = "clinical.csv", one_hot = ["sex", "stage"] }}
[cohort.targets]
use = "table"
path = "seen.csv"
time_unit = "months"
[cohort.targets.tasks]
survival = false
recurrence = false
death_2y = {{ time = "months", event = "dead", horizon_days = 730, outcome = "death" }}
{more}
"""
NETWORK = """
[fusion]
branches = false
[heads]
survival = false
recurrence = false
death_2y = { use = "discrete_hazard" }
[[losses]]
use = "hazard"
head = "death_2y"
weight = 1.0
[[losses]]
use = "infonce"
weight = 0.05
"""


@pytest.fixture
def run_files(frames, tmp_path, monkeypatch):
    """``hcat run`` on the frames as CSV files; gives its predictions as they were written."""

    def run_recipe(shipped, more, settings):
        monkeypatch.chdir(tmp_path)
        for name, frame in frames.items():
            frame.to_csv(f"{name}.csv")
        tree = RECIPE.format(shipped=shipped_folder() / shipped, more=more)
        Path("r.toml").write_text(tree, encoding="utf-8")
        sets = [f"--set={key}={json.dumps(value)}" for key, value in settings.items()]
        assert main(["run", "r.toml", "--outdir", "files", "-q", *sets]) == 0
        return tmp_path / "files"

    return run_recipe


def test_fit_on_frames_predicts_as_hcat_run_on_the_same_data_in_files(run, frames, run_files, quick):
    folder = run_files("small_cohort.toml", "", quick)
    from_files, new = hcat.load(folder), {name: frames[name] for name in ("clinical", "rna")}
    assert from_files.run.training.data == run.run.training.data
    pd.testing.assert_frame_equal(from_files.predict(new), run.predict(new), check_exact=True)
    written = (folder / "predictions.csv").read_text()
    assert (run.folder / "predictions.csv").read_text() == written


@pytest.mark.slow
def test_a_network_on_frames_predicts_as_hcat_run_on_files(network, run_files, small_network_settings):
    folder = run_files("hancock.toml", NETWORK, small_network_settings)
    written = (folder / "predictions.csv").read_text()
    assert (network.folder / "predictions.csv").read_text() == written


def test_predict_gives_each_patient_by_the_id_as_written(run, frames):
    new = frames["clinical"].rename(index=lambda name: name.replace("P", "00")).iloc[:3]
    predicted = run.predict({"clinical": new})
    assert predicted.index.tolist() == ["00000", "00001", "00002"]
    assert predicted.columns.tolist() == ["p_death_2y", "p_death_2y_low", "p_death_2y_high"]
    assert predicted["p_death_2y"].between(0, 1).all()


def test_one_patient_with_categories_is_predicted_as_among_all(run, frames):
    new = {name: frames[name] for name in ("rna", "clinical")}
    everyone = run.predict(new)
    for patient in ("P001", "P003"):
        one = {name: frame.loc[frame.index == patient] for name, frame in new.items()}
        one = {name: frame for name, frame in one.items() if len(frame)}
        alone = run.predict(one)
        np.testing.assert_allclose(alone.loc[patient], everyone.loc[patient], rtol=1e-6)


def test_a_category_and_a_column_that_training_lacks_are_warned_of(run, frames):
    new = frames["clinical"].iloc[:2].assign(stage=["IV", "II"], note=["x", "y"])
    with pytest.warns(hcat.FindingWarning) as caught:
        run.predict({"clinical": new})
    texts = " ".join(str(one.message) for one in caught)
    assert 'stage: "IV" (1)' in texts and "note" in texts
    assert {one.filename for one in caught} == {__file__}


def test_hcat_predict_works_on_the_folder_of_a_fit(run, frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames["clinical"].iloc[:4].to_csv("new.csv")
    assert main(["predict", str(run.folder), "--clinical", "new.csv", "-o", "out.csv", "-q"]) == 0
    written = pd.read_csv("out.csv", index_col="patient_id")["p_death_2y"]
    expected = run.predict({"clinical": frames["clinical"].iloc[:4]})["p_death_2y"]
    np.testing.assert_allclose(written, expected, atol=1e-6)


def test_the_curve_ends_at_the_probability_and_never_falls(run, frames):
    new = {"clinical": frames["clinical"].iloc[:5]}
    curves = run.predict_curves(new)["p_death_2y"]
    assert curves.columns[-1] == 730 and len(curves.columns) == 12
    np.testing.assert_array_equal(curves[730.0], run.predict(new)["p_death_2y"])
    assert (curves.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_contributions_add_up_to_the_probability(run, frames):
    new = {"clinical": frames["clinical"].iloc[:4], "rna": frames["rna"].iloc[:2]}
    parts = run.explain(new)["p_death_2y"]
    assert set(parts.columns) == {"for anyone", "rna", "clinical"}
    np.testing.assert_allclose(parts.sum(axis=1), run.predict(new)["p_death_2y"], atol=1e-6)


def test_what_was_measured_stays_and_what_was_missing_is_filled(network, frames):
    new = {"clinical": frames["clinical"].iloc[:6], "rna": frames["rna"].iloc[:2]}
    completed = network.impute(new)
    assert set(completed) == {"rna", "clinical"}
    assert not any(frame.isna().any(axis=None) for frame in completed.values())
    measured = frames["rna"].iloc[:2].astype(np.float32)
    np.testing.assert_array_equal(completed["rna"].loc[measured.index, measured.columns], measured)
    first, second = network.impute(new, draws=2)
    gap = completed["rna"].index.difference(measured.index)
    assert (first["rna"].loc[gap] != second["rna"].loc[gap]).any(axis=None)
    np.testing.assert_array_equal(first["rna"].loc[measured.index], second["rna"].loc[measured.index])


def test_embeddings_of_members_stand_side_by_side(network, frames):
    new = {"clinical": frames["clinical"].iloc[:5]}
    vectors = network.embed(new)
    assert vectors.shape == (5, 32) and vectors.index.name == "patient_id"
    assert vectors.columns[0] == "m1_0" and vectors.columns[-1] == "m2_15"
    alone = network.embed({"clinical": frames["clinical"].iloc[2:3]})
    np.testing.assert_allclose(alone.loc["P002"], vectors.loc["P002"], atol=1e-6)


def test_what_a_method_cannot_do_is_said(run, frames):
    new = {"clinical": frames["clinical"].iloc[:2]}
    with pytest.raises(UsageError, match="late_fusion.*no vector"):
        run.embed(new)
    with pytest.raises(UsageError, match="does not impute"):
        run.impute(new)


@pytest.mark.parametrize(
    "patients, message",
    [
        ({"images": pd.DataFrame({"x": [1.0]}, index=["a"])}, "no modality named 'images'.*clinical, rna"),
        ([1], "dictionary of DataFrames"),
        ({}, "no modality is given"),
        ({"rna": [1, 2]}, "'rna' is list"),
    ],
)
def test_what_cannot_be_predicted_is_a_sentence(run, patients, message):
    with pytest.raises(UsageError, match=message):
        run.predict(patients)


def test_a_frame_of_new_patients_without_ids_is_refused(run, frames):
    with pytest.raises(DataError, match="only numbers the rows"):
        run.predict({"clinical": frames["clinical"].reset_index(drop=True)})


def test_a_run_is_scored_on_a_cohort_that_lacks_a_category(run, cohort_of, make_frames):
    other = make_frames(60, seed=5)
    other["clinical"] = other["clinical"][other["clinical"].stage != "III"]
    evaluation = run.evaluate(cohort_of(other), groups=("sex=f", "site"))
    assert evaluation.metrics.loc["death_2y", "patients"] > 20
    assert len(evaluation.predictions) == len(other["clinical"].index.union(other["rna"].index))
    assert set(evaluation.groups) == {"sex=f", "site"}
    assert "<table>" in evaluation._repr_html_()


def test_its_own_cohort_is_no_evaluation(run, cohort):
    with pytest.warns(hcat.FindingWarning, match="trained on"):
        run.evaluate(cohort)


def test_a_saved_run_predicts_the_same(run, frames, tmp_path):
    new = {"clinical": frames["clinical"].iloc[:3]}
    folder = run.save(tmp_path / "kept")
    loaded = hcat.load(folder)
    pd.testing.assert_frame_equal(loaded.predict(new), run.predict(new), check_exact=True)
    assert loaded.findings == run.findings and loaded.report.is_file()
    with pytest.raises(UsageError, match="not empty"):
        run.save(folder)


def test_a_temporary_folder_lasts_as_long_as_its_run(cohort, quick):
    run = hcat.fit(cohort, {"estimator": {"use": "logistic"}}, set=quick)
    folder = run.folder
    assert folder.is_dir() and run.summary["run"]["estimator"] == "logistic"
    del run
    gc.collect()
    assert not folder.exists()


def test_its_repr_has_the_verdict(run):
    assert "death_2y: not known" in repr(run)
    assert "<table>" in run._repr_html_() and "test patients" in run._repr_html_()
    assert run.verdicts["death_2y"].word == "not known"


@pytest.mark.parametrize(
    "recipe, settings, message",
    [
        ("no_such_recipe", {}, "there is no recipe"),
        ("small_cohort", {"estimator.models": 1}, "no such parameter"),
        ("small_cohort", {"cohort.root": "x"}, "the cohort is the one that is given"),
        ({"extends": "x.toml"}, {}, "belongs into files"),
        (3, {}, "a dictionary or a Recipe is needed"),
        ("small_cohort", {"seed": object()}, "a recipe cannot hold object"),
    ],
)
def test_a_recipe_that_does_not_fit_is_a_sentence(cohort, recipe, settings, message):
    with pytest.raises(UsageError, match=message):
        hcat.fit(cohort, recipe, set=settings)


def test_a_method_that_needs_times_is_refused_for_labels_before_it_is_fitted(frames, quick, cohort_of):
    cohort = cohort_of(frames, time=None, event=None, horizons=None, label="dead", time_unit="days")
    with pytest.raises(RecipeError, match="needs times"):
        hcat.fit(cohort, "small_cohort")
    run = hcat.fit(cohort, {"estimator": {"use": "logistic"}}, set=quick)
    assert run.predict({"clinical": frames["clinical"].iloc[:1]}).columns[0] == "p_dead"
    assert run.predict_curves({"clinical": frames["clinical"].iloc[:1]}).shape == (1, 0)


def test_a_cohort_without_outcomes_cannot_be_fitted(frames):
    with pytest.raises(UsageError, match="no outcomes to learn from"):
        hcat.fit(hcat.Cohort.from_frames({"rna": frames["rna"]}))


def test_a_feature_that_gives_the_outcome_away_stops_and_can_be_allowed(frames, quick, cohort_of):
    told = {**frames, "clinical": frames["clinical"].assign(code=frames["seen"].months * 30.4)}
    cohort = cohort_of(told)
    with pytest.raises(DataError, match="code"):
        hcat.fit(cohort, {"estimator": {"use": "logistic"}}, set=quick)
    allowed = {**quick, "cohort.allow": ["code"]}
    assert hcat.fit(cohort, {"estimator": {"use": "logistic"}}, set=allowed).report.is_file()
