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
    assert any("1 patients have no measured value" in text for text in findings)


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
