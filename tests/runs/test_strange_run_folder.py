"""A run folder from elsewhere, or of an earlier version: what is missing or does not belong is told."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import hcat_core
from hcat_core.cli.main import main
from hcat_core.errors import DataError
from hcat_core.storage.checkpoint import ENTRY, read_checkpoint, write_checkpoint
from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.write import write_cohort

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A cohort, and a finished run of a single network."""
    folder = tmp_path_factory.mktemp("made")
    write_cohort(folder / "c", generate(preset_spec("demo", patients=120, width=8)))
    settings = (
        "imputer.use=mean", "estimator.members=1", "estimator.evidence=false", "fusion.d_model=16",
        "fusion.n_heads=2", "training.epochs=1", "evaluation.bootstrap=0", "evaluation.baselines=[]",
        "evaluation.mc_samples=2", f"cohort.root={folder / 'c'}",
    )  # fmt: skip
    sets = [f"--set={setting}" for setting in settings]
    assert main(["run", str(RECIPES / "enhanced.toml"), *sets, f"--outdir={folder / 'run'}", "-q"]) == 0
    return folder


@pytest.fixture
def strange(made, tmp_path, capsys):
    """Change tensors and header of ``trained.safetensors``, then predict: exit code and message."""

    def call(change):
        run = shutil.copytree(made / "run", tmp_path / "run")
        tensors, header = read_checkpoint(run / "trained.safetensors")
        change(tensors, header)
        recipe = (run / "recipe.toml").read_text()
        write_checkpoint(run / "trained.safetensors", tensors, json.loads(json.dumps(header)), recipe)
        capsys.readouterr()
        code = main(["predict", str(run), "--root", str(made / "c"), "--no-explain", "-q"])
        return code, capsys.readouterr().err

    return call


def width(value):
    return lambda tensors, header: header["layout"]["modalities"][0].update(width=value)


def tensor(name, change):
    return lambda tensors, header: tensors.update({name: change(tensors[name]).contiguous()})


def header(name, value):
    return lambda tensors, header: header.update({name: value})


@pytest.mark.parametrize(
    "change",
    [
        width(10**12), width(0), width(-1), width(2.5), width("9"), width(None),
        tensor("mean", lambda t: t[:1]), tensor("mean", lambda t: t[:, :1]),
        tensor("scale", lambda t: t * 0),
        tensor("scale", lambda t: t * torch.nan), tensor("low", lambda t: t.flatten()),
        tensor("high", lambda t: t.to(torch.int64)),
        header("thresholds", []), header("thresholds", [0.5] * 99),
        header("thresholds", [float("nan")] * 2),
        header("base_rate", ["a"]), header("base_rate", [1e400]), header("base_rate", [10**400] * 2),
        header("recalibration", {"intercept": [0], "slope": [1]}), header("recalibration", None),
        header("layout", {}), header("layout", []), header("estimator", 3), header("checkpoint", "last"),
        lambda tensors, header: header["layout"].update(modalities=[]),
        lambda tensors, header: header["layout"]["modalities"][0].update(features=["a"]),
        lambda tensors, header: header["layout"]["tasks"].pop(),
        lambda tensors, header: tensors.pop("low"),
    ],
)  # fmt: skip
def test_a_header_that_does_not_fit_is_exit_3(strange, change):
    code, err = strange(change)
    assert code == 3 and "trained.safetensors" in err and "internal error" not in err


def test_what_was_not_changed_predicts(strange):
    assert strange(lambda tensors, header: None)[0] == 0


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a\0b", ""])
def test_a_checkpoint_outside_the_run_folder_is_not_read(strange, name):
    code, err = strange(header("checkpoint", {"name": name, "sha256": "0"}))
    assert code == 2 and "is not the name of a file in this folder" in err


KEYS = (
    "layout", "recalibration", "thresholds", "value_intervals", "took_validation", "base_rate", "data",
    "checkpoint", "estimator", "layout.absent", "layout.tasks", "recalibration.families",
    "value_intervals.factor", "checkpoint.sha256",
)  # fmt: skip


def without(document, key):
    """Remove a dotted key, as if an earlier version had not written it."""
    *tables, last = key.split(".")
    for table in tables:
        document = document[table]
    del document[last]


@pytest.mark.parametrize("key", KEYS)
def test_a_run_of_an_earlier_version_says_to_train_again(strange, tmp_path, key):
    code, err = strange(lambda tensors, header: without(header, key))
    assert code == 3 and err.count("\n") == 1
    assert f"written by an earlier version of hcat, without '{key.rpartition('.')[2]}'" in err
    recipe = tmp_path / "run" / "recipe.toml"
    assert f"Train again with this version: hcat run {recipe} --outdir FOLDER" in err


@pytest.mark.parametrize("command", ["evaluate", "impute", "embed", "export"])
def test_every_command_on_a_run_says_so(strange, made, tmp_path, capsys, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    _, expected = strange(lambda tensors, header: without(header, "value_intervals"))
    options = {"export": [], "embed": ["--root", made / "c", "-o", "e.csv"]}
    arguments = options.get(command, ["--root", made / "c"])
    assert main([command, str(tmp_path / "run"), *map(str, arguments)]) == 3
    assert capsys.readouterr().err == expected


def test_training_again_as_the_sentence_says_makes_a_run_that_predicts(
    strange, made, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    _, err = strange(lambda tensors, header: without(header, "value_intervals"))
    command = err.rpartition("this version: hcat ")[2].split()
    assert main([*command, "-q"]) == 0
    assert main(["predict", "FOLDER", "--root", str(made / "c"), "--no-explain", "-q"]) == 0


@pytest.mark.parametrize("key", ["format", "hcat", "recipe", "tensors", "sha256"])
def test_a_checkpoint_without_a_key_of_its_manifest_says_to_train_again(made, tmp_path, capsys, key):
    run = shutil.copytree(made / "run", tmp_path / "run")
    path = run / "trained.safetensors"
    with safe_open(path, framework="pt") as file:
        document = json.loads(file.metadata()[ENTRY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    del document["manifest"][key]
    save_file(tensors, path, {ENTRY: json.dumps(document)})
    assert main(["predict", str(run), "--root", str(made / "c"), "-q"]) == 3
    err = capsys.readouterr().err
    assert f"'{key}'" in err and "If an earlier version of hcat made the run, train again" in err


@pytest.mark.parametrize(
    "key", ["verdicts", "metrics", "metrics.test", "data", "data.modalities", "analysis"]
)
def test_a_summary_of_an_earlier_version_is_one_sentence_wherever_it_is_read(made, tmp_path, capsys, key):
    run = shutil.copytree(made / "run", tmp_path / "run")
    summary = run / "enhanced_hcat_training_summary.json"
    document = json.loads(summary.read_text())
    without(document, key)
    summary.write_text(json.dumps(document))
    name = key.rpartition(".")[2]

    def said(text):
        return f"{summary}: written by an earlier version of hcat, without '{name}'" in text

    if not key.startswith("data"):  # which is read for the page of an evaluation alone
        assert main(["run", "--resume", str(run)]) == 3
        assert said(capsys.readouterr().err)
        with pytest.raises(DataError) as refused:
            repr(hcat_core.load(run).metrics), hcat_core.load(run).verdicts
        assert said(str(refused.value))
    if key not in ("verdicts", "analysis"):
        evaluate = ["evaluate", str(run), "--root", str(made / "c"), "-q"]
        assert main([*evaluate, "--outdir", str(tmp_path / "page")]) == 3
        assert said(capsys.readouterr().err) and not (tmp_path / "page").exists()
        assert main(evaluate) == 0


def test_a_key_that_a_program_asks_for_in_vain_is_a_key_error(made):
    summary = hcat_core.load(made / "run").summary
    assert type(summary["run"]) is dict
    with pytest.raises(KeyError):
        summary["run"]["nonsense"]
