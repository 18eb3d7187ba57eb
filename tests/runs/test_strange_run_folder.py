"""A run folder from elsewhere, its digests made anew: what does not belong together is told."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from hcat_core.cli.main import main
from hcat_core.storage.checkpoint import read_checkpoint, write_checkpoint
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
