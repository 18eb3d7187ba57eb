"""Three events among sixty patients: every command says so, and gives nothing that needs more."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.write import write_cohort

LOGISTIC = Path(__file__).parents[2] / "recipes" / "baselines" / "logistic.toml"
SUMMARY = "enhanced_hcat_training_summary.json"
WARNING = "survival: 3 events among 60 patients with a known outcome: too few to evaluate any model"


@pytest.fixture(scope="module")
def few_events(tmp_path_factory):
    """Sixty patients: three have the event of the first task, and thirty that of the second."""
    folder = tmp_path_factory.mktemp("few") / "c"
    write_cohort(folder, generate(preset_spec("demo", patients=60, width=6)))
    with h5py.File(folder / "clinical.h5", "r+") as file:
        for name, events in (("surv_5yr_label", 3), ("rec_2yr_label", 30)):
            file[name][...] = np.random.default_rng(0).permutation(np.arange(60) < events)
    return folder


def test_inspect_warns_and_says_how_many_patients_are_needed(hcat, few_events):
    code, out, err = hcat("inspect", LOGISTIC, f"--set=cohort.root={few_events}")
    assert code == 0 and f"hcat: warning: {WARNING}" in err
    assert "recurrence: 30 events among 60 patients with a known outcome: even a model" in err
    _, out, _ = hcat("inspect", LOGISTIC, f"--set=cohort.root={few_events}", "--json")
    survival, _ = json.loads(out)["sample_size"]
    assert (survival["events"], survival["parameters"], survival["enough"]) == (3, 5, False)
    assert survival["patients_needed"] > 800 and survival["events_needed"] > 40


def test_run_warns_and_keeps_the_warning(hcat, few_events):
    arguments = (f"--set=cohort.root={few_events}", "--set=evaluation.baselines=[]", "--outdir=run")
    code, out, err = hcat("run", LOGISTIC, *arguments)
    assert code == 0 and out.index(WARNING) < out.index("fitting logistic")
    findings = json.loads(Path("run", SUMMARY).read_text())["analysis"]["leakage"]["findings"]
    assert [finding.split(":")[0] for finding in findings] == ["survival", "recurrence"]


def test_compare_gives_no_interval_and_no_verdict_on_three_events(hcat, few_events, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(f'extends = "{LOGISTIC.as_posix()}"\nseed = 3\n')
    arguments = (
        f"--set=cohort.root={few_events}",
        "--no-baselines",
        "--folds=3",
        "--repeats=1",
        "--jobs=1",
    )
    code, out, err = hcat("compare", LOGISTIC, other, *arguments)
    assert code == 0 and WARNING in err
    assert "survival: patients with the rarer outcome: 3. Fewer than 10 are too few" in out
    assert "Best here" not in out
    shown = [line.split() for line in out.splitlines() if line.startswith("logistic")]
    assert shown[0][1] == "-" and "-" not in shown[2][1:4]  # AUC of survival and of recurrence
    found = json.loads(Path("comparison", "comparison.json").read_text())
    assert found["too_few"] == {"survival": 3}
    scores = found["recipes"]["logistic"]
    assert set(scores["survival"]["pooled_calibration"].values()) == {None}
    assert scores["survival"]["calibration_slope"] is None
    assert None not in scores["recurrence"]["pooled_calibration"].values()
    verdicts = {(d["task"], d["what"]): (d["verdict"], d["low"]) for d in found["differences"]}
    for task in ("survival", "mean of tasks"):
        assert verdicts[task, "all modalities"] == ("not tested", None)
    assert verdicts["recurrence", "all modalities"][1] is not None
    assert found["selection"] is None


def test_a_large_cohort_is_not_warned_of(hcat, tmp_path):
    write_cohort(tmp_path / "c", generate(preset_spec("demo", patients=1500, width=6)))
    code, out, err = hcat("inspect", LOGISTIC, f"--set=cohort.root={tmp_path / 'c'}")
    assert (code, err) == (0, "") and "a larger model more (Riley et al. 2020)" in out
