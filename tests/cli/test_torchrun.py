import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hcat_core.storage.checkpoint import read_checkpoint
from hcat_core.training import distributed
from hcat_core.training.checkpoints import LAST
from hcat_core.training.distributed import Processes

# Every loss and head, and an imputer that hides blocks and draws (see without_randomness.py).
RECIPE = """
extends = "{enhanced}"
[cohort]
root = "{cohort}"
[cohort.targets.tasks.survival]
time = "days_to_death_or_last_info"
event = "death_event"
[estimator]
use = "neural"
members = 1
evidence = false
[imputer]
hidden = 32
fit_epochs = 2
first = {{ use = "vae", latent_dim = 8, hidden = 32, fit_epochs = 2, rank = 2, components = 1 }}
[fusion]
d_model = 32
n_heads = 2
dropout = 0.0
[heads.survival]
dropout = 0.0
[heads.recurrence]
dropout = 0.0
[heads.hazard]
use = "discrete_hazard"
task = "survival"
dropout = 0.0
[heads.cox]
use = "cox"
task = "survival"
dropout = 0.0
[[losses]]
use = "bce"
head = "survival"
[[losses]]
use = "focal"
head = "recurrence"
[[losses]]
use = "hazard"
head = "hazard"
[[losses]]
use = "cox"
head = "cox"
[[losses]]
use = "infonce"
[[losses]]
use = "kl"
[[losses]]
use = "imputation"
[training]
epochs = 3
batch = 32
lr = 5e-5
gate_lr = 5e-5
monitor = "auc"
emb_noise = 0.0
[evaluation]
mc_samples = 0
bootstrap = 0
baselines = []
"""
ENHANCED = Path(__file__).parents[2] / "recipes" / "enhanced.toml"


@pytest.fixture(scope="module")
def recipe(cohort_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(RECIPE.format(enhanced=ENHANCED, cohort=cohort_folder))
    return path


DRIVER = str(Path(__file__).with_name("without_randomness.py"))
TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def start(folder, *command):
    """Processes of one thread each, as a user starts them."""
    return subprocess.Popen(
        [sys.executable, *(str(argument) for argument in command)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder, *command):
    process = start(folder, *command)
    out, err = process.communicate(timeout=180)
    return process.returncode, out, err


def weights(run_folder):
    tensors, header = read_checkpoint(run_folder / "checkpoints" / LAST)
    return {k: t for k, t in tensors.items() if not k.startswith("optimiser.")}, header["progress"]["epoch"]


def largest_difference(one, two):
    assert one.keys() == two.keys()
    return max(float((one[name].double() - two[name].double()).abs().max()) for name in one)


@pytest.fixture(scope="module")
def unbroken(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    assert run(folder, DRIVER, "run", recipe, "--outdir=run", "-q")[0] == 0
    return weights(folder / "run")[0]


def test_two_processes_resume_the_run_of_one_and_reach_its_weights(recipe, unbroken, tmp_path):
    interrupted = run(
        tmp_path, DRIVER, 5, "run", recipe, "--outdir=run"
    )  # four steps an epoch: in the second
    assert interrupted[0] == 130
    begun, epoch = weights(tmp_path / "run")
    assert epoch == 1

    code, out, err = run(tmp_path, *TWO, DRIVER, "run", "--resume", "run")
    assert code == 0, err
    resumed, epoch = weights(tmp_path / "run")
    assert epoch == 3
    assert largest_difference(resumed, unbroken) < 1e-5
    assert largest_difference(resumed, begun) > 1e-4  # two epochs move them further than that
    # One process writes and prints.
    assert out.count("epoch   2/3") == out.count("  report.html") == 1
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3


def test_when_one_process_is_killed_the_other_ends_and_one_process_resumes_to_the_same_weights(
    recipe, unbroken, tmp_path
):
    two = start(tmp_path, *TWO, DRIVER, "run", recipe, "--outdir=run", "--set=training.epochs=3")
    for line in two.stdout:
        if "epoch   1/3" in line:
            break
    children = Path(f"/proc/{two.pid}/task/{two.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    _, err = two.communicate(timeout=60)
    assert two.returncode != 0
    assert "internal error" not in err

    assert run(tmp_path, DRIVER, "run", "--resume", "run")[0] == 0
    resumed, epoch = weights(tmp_path / "run")
    assert epoch == 3
    assert largest_difference(resumed, unbroken) < 1e-5


def test_each_process_draws_its_own_random_numbers(recipe, tmp_path):
    """With all that is random on, two processes train to their end, and not to one process's weights."""
    command = ["-m", "hcat_core", "run", recipe, "--set=training.epochs=1", "--set=training.emb_noise=0.1"]
    for code, _, err in (
        run(tmp_path, *command, "--outdir=one"),
        run(tmp_path, *TWO, *command, "--outdir=two"),
    ):
        assert code == 0, err
    assert largest_difference(weights(tmp_path / "one")[0], weights(tmp_path / "two")[0]) > 1e-5


def test_a_mistake_is_reported_by_one_process(recipe, tmp_path):
    code, out, err = run(tmp_path, *TWO, "-m", "hcat_core", "run", recipe, "--set=imputer.use=vea")
    assert code != 0
    assert (out + err).count('no imputer is named "vea"') == 1
    assert "exitcode  : 2" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("compare",), "hcat compare cannot run under torchrun, which shares one training among processes"),
        (("run", "--set=estimator.use=random_forest"), "the estimator random_forest cannot"),
    ],
)
def test_what_is_not_one_neural_training_is_not_started_twice(hcat, recipe, monkeypatch, arguments, said):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(distributed, "process_group", lambda: contextlib.nullcontext(Processes(0, 2)))
    command, *options = arguments
    code, out, err = hcat(command, recipe, *options)
    assert code == 2
    assert said in err
