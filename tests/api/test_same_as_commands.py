"""A command and its function in Python say the same of the same data: numbers, warnings and refusals."""

import io
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hcat_core as hcat
from hcat_core.cli.main import main


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """Run a command in an empty folder: its exit code, what it prints, and the texts of its warnings."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        capsys.readouterr()
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        mark = "hcat: warning: "
        return code, out, [line.removeprefix(mark) for line in err.splitlines() if line.startswith(mark)]

    return call


@pytest.fixture
def warned():
    """Call a function, and give its result and its findings, as if its frames had been files."""

    def call(function, *arguments, **options):
        with pytest.warns(hcat.FindingWarning) as caught:
            result = function(*arguments, **options)
        return result, [str(one.message).replace(" (DataFrame)", ".csv") for one in caught]

    return call


@pytest.fixture
def new(make_frames, tmp_path):
    """Frames of new patients as files too: one stage is unknown to the run, and ages are in months."""
    frames = make_frames(30, seed=7)
    frames["clinical"] = frames["clinical"].astype({"stage": object}).assign(note="x")
    frames["clinical"].loc["P003", "stage"] = "IV"
    frames["clinical"]["age"] *= 12
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"{name}.csv")
    return frames


FILES = ("--clinical", "clinical.csv", "--input", "rna=rna.csv")


def test_predictions_are_those_of_hcat_predict_to_the_byte(run, new, command, warned):
    code, _, told = command("predict", run.folder, *FILES, "-o", "out.csv", "--no-explain")
    ours, findings = warned(run.predict, {name: new[name] for name in ("clinical", "rna")})
    written = pd.read_csv("out.csv", index_col="patient_id", dtype=str, keep_default_na=False)
    as_text = pd.read_csv(
        io.StringIO(ours.to_csv(float_format="%.6f")), index_col=0, dtype=str, keep_default_na=False
    )
    assert code == 0 and len(ours) == 30
    pd.testing.assert_frame_equal(written[list(ours.columns)], as_text.loc[written.index])
    assert findings == told and len(told) == 3


def test_vectors_are_those_of_hcat_embed_to_the_byte(network, new, command, warned, tmp_path):
    code, _, told = command("embed", network.folder, *FILES, "-o", "out.csv")
    ours, findings = warned(network.embed, {name: new[name] for name in ("clinical", "rna")})
    written = pd.read_csv("out.csv", index_col="patient_id", dtype=str)
    as_text = pd.read_csv(io.StringIO(ours.to_csv()), index_col="patient_id", dtype=str)
    assert code == 0 and len(ours) == 30
    pd.testing.assert_frame_equal(written, as_text.loc[written.index])
    assert findings == told


@pytest.fixture(scope="module")
def informed(cohort, quick):
    """A network whose imputer learned from the outcomes."""
    settings = {
        **quick,
        "estimator.members": 1,
        "estimator.evidence": False,
        "training.epochs": 1,
        "training.imputer_gradient": True,
        "fusion.d_model": 16,
        "fusion.n_heads": 2,
        "imputer": {"use": "vae", "fit_epochs": 1, "frozen": False},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hcat.FindingWarning)
        return hcat.fit(cohort, "hancock", set=settings)


def test_drawn_sets_and_warnings_are_those_of_hcat_impute(informed, new, command, warned):
    rna = new["rna"].copy()
    rna.loc["P001"] = np.nan
    rna.to_csv("rna.csv")
    code, _, told = command(
        "impute",
        informed.folder,
        "--input",
        "rna=rna.csv",
        "--draws",
        "2",
        "--format",
        "csv",
        "--seed",
        "5",
    )
    sets, findings = warned(informed.impute, {"rna": rna}, draws=2, seed=5)
    written = pd.read_csv("imputed/imputations.csv").set_index("patient_id")
    assert code == 0
    for number, ours in enumerate(sets, 1):
        theirs = written[written["draw"] == number].drop(columns="draw")
        for modality, frame in ours.items():
            named = theirs[[f"{modality}.{feature}" for feature in frame.columns]]
            np.testing.assert_array_equal(named.to_numpy(np.float32), frame.loc[theirs.index].to_numpy())
    assert findings == told
    assert any("outcome-informed" in text for text in findings)
    assert any("1 patient has no measured value" in text for text in findings)


def test_a_seed_without_draws_is_refused_by_both(network, new, command):
    assert command("impute", network.folder, *FILES, "--seed", "1")[0] == 2
    with pytest.raises(hcat.HcatError, match="seed needs draws"):
        network.impute({"rna": new["rna"]}, seed=1)


def test_an_evaluation_by_groups_is_that_of_hcat_evaluate(run, new, cohort_of, command, warned):
    seen = new["seen"].assign(site=np.where(np.arange(30) % 3, "a", "NOT KNOWN"))
    seen.to_csv("seen.csv")
    sets = ["--set", 'cohort.targets.missing=["NOT KNOWN"]', "--set", 'cohort.targets.use="table"']
    code, out, told = command(
        "evaluate", run.folder, *FILES, "--targets", "seen.csv", "--by", "site", "--json", *sets
    )
    cohort = cohort_of({**new, "seen": seen}, missing=["NOT KNOWN"])
    ours, findings = warned(run.evaluate, cohort, groups=("site",))
    theirs = json.loads(out)
    document = json.loads(json.dumps(ours.document))
    for one in (theirs, document):
        one.pop("sources")
        one.pop("warnings")
    assert code == 0 and list(theirs["groups"]["site"]) == ["a", "unknown"]
    assert document == theirs
    assert findings == told


def test_a_cohort_without_outcomes_is_inspected_as_by_hcat_inspect(new, command):
    recipe = '[cohort.modalities]\nrna = { path = "rna.csv" }\n[estimator]\nuse = "logistic"\n'
    Path("r.toml").write_text(recipe)
    code, out, _ = command("inspect", "r.toml", "--json")
    theirs = json.loads(out)
    ours = json.loads(json.dumps(hcat.inspect(hcat.Cohort.from_files("r.toml")).facts))
    assert code == 0 and theirs["leaks_checked"]["features"] == 4
    assert ours == theirs


RECIPE = """
[cohort.modalities]
clinical = { path = "clinical.csv", one_hot = ["sex", "stage"] }
rna = { path = "rna.csv" }
[cohort.targets]
path = "seen.csv"
time_unit = "months"
tasks.death_2y = { time = "months", event = "dead", horizon_days = 730, outcome = "death" }
[estimator]
use = "logistic"
[tune.space]
"estimator.components" = { choices = [2, 3] }
"""
LOGISTIC = {"estimator": {"use": "logistic"}}


@pytest.fixture
def faulty(make_frames, tmp_path):
    """Frames as files too, in which a patient has nothing but zeros."""
    frames = make_frames()
    frames["rna"].loc["P002"] = 0.0
    for name, frame in frames.items():
        frame.to_csv(tmp_path / f"{name}.csv")
    (tmp_path / "simple.toml").write_text(RECIPE)
    return frames


FOLDS = {"folds": 2, "repeats": 1, "baselines": False}
OPTIONS = ("--folds=2", "--repeats=1", "--no-baselines", "--jobs=1", "--json")


def test_a_comparison_warns_and_scores_as_hcat_compare(faulty, cohort_of, command, warned):
    code, out, told = command("compare", "simple.toml", *OPTIONS, "--split=per-task")
    cohort, read = warned(cohort_of, faulty)
    ours, findings = warned(hcat.compare, cohort, {"simple": LOGISTIC}, **FOLDS, split="per-task")
    assert code == 0 and ours.document == json.loads(out)
    assert [*read, *findings] == told and len(told) == 2


def test_a_search_warns_and_scores_as_hcat_tune(faulty, cohort_of, command, warned):
    pytest.importorskip("optuna")
    options = (*OPTIONS, "--trials=2", "--inner-folds=2")
    code, out, told = command("tune", "simple.toml", *options)
    cohort, read = warned(cohort_of, faulty)
    ours, findings = warned(hcat.tune, cohort, "simple.toml", trials=2, inner_folds=2, **FOLDS)
    assert code == 0 and ours.document == json.loads(out)
    assert [*read, *findings] == told and len(told) == 2


@pytest.mark.parametrize("name", ["compare", "tune", "run"])
def test_under_strict_both_stop_with_one_text(name, faulty, cohort_of, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main([name, "simple.toml", "--strict"]) == 3
    message = capsys.readouterr().err.strip().removeprefix("hcat: ")
    function = {"compare": hcat.compare, "tune": hcat.tune, "run": hcat.fit}[name]
    with pytest.raises(hcat.HcatError) as refused:
        function(cohort_of(faulty), "simple.toml", strict=True)
    assert str(refused.value) == message and "nothing but zeros" in message


def test_settings_of_a_network_change_only_networks_of_a_comparison(faulty, cohort_of, command):
    with pytest.raises(hcat.HcatError, match="training"):
        hcat.fit(cohort_of(faulty), LOGISTIC, set={"training.epochs": 1})
    found = hcat.compare(cohort_of(faulty), {"simple": LOGISTIC}, **FOLDS, set={"training.epochs": 1})
    code, out, _ = command("compare", "simple.toml", *OPTIONS, "--set=training.epochs=1")
    assert code == 0 and found.document == json.loads(out) and not found.errors


def test_a_run_warns_as_hcat_run(faulty, cohort_of, quick, command, warned):
    sets = [f"--set={key}={json.dumps(value)}" for key, value in quick.items()]
    code, _, told = command("run", "simple.toml", "--outdir", "run", "-q", *sets)
    cohort, read = warned(cohort_of, faulty)
    run, findings = warned(hcat.fit, cohort, LOGISTIC, set=quick)
    assert code == 0 and set(told) <= {*read, *findings} == set(run.findings)
    assert run.findings == hcat.load("run").findings
    assert (run.folder / "predictions.csv").read_text() == Path("run/predictions.csv").read_text()


def test_what_is_no_run_is_refused_with_one_text(command, capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "recipe.toml").write_text(RECIPE)
    for folder in ("empty", "begun"):
        assert main(["predict", folder, "--input", "rna=rna.csv"]) == 2
        message = capsys.readouterr().err.strip().removeprefix("hcat: ")
        with pytest.raises(hcat.HcatError) as refused:
            hcat.load(folder)
        assert str(refused.value) == message


def test_explanations_of_too_many_modalities_are_refused_with_one_text(
    run, new, command, capsys, monkeypatch
):
    monkeypatch.setattr("hcat_core.runs.predict.MOST_MODALITIES", 1)
    assert main(["predict", str(run.folder), *FILES, "--explain", "-q"]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1].removeprefix("hcat: ")
    with pytest.raises(hcat.HcatError) as refused:
        run.explain({name: new[name] for name in ("clinical", "rna")})
    assert str(refused.value) == message and "up to 1 modalities" in message
    code, out, _ = command("predict", run.folder, *FILES, "--json")  # which explains where it can
    assert code == 0 and "contributions" not in out
