import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hcat_core.cli.main import main
from hcat_core.storage.checkpoint import read_checkpoint
from hcat_core.training import distributed, loop

# Every loss and head, and an imputer that masks and draws. Dropout alone may differ between processes.
RECIPE = """
extends = "{enhanced}"
[cohort]
root = "{cohort}"
[cohort.targets.tasks.survival]
time = "days_to_death_or_last_info"
event = "death_event"
[imputer]
hidden = 32
first = {{ use = "vae", latent_dim = 8, hidden = 32 }}
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


def start_two(folder, *arguments):
    """Two processes of one thread each, as a user starts them."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*command, "-m", "hcat_core", *(str(a) for a in arguments)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def weights(run):
    tensors, header = read_checkpoint(run / "checkpoints" / loop.LAST)
    return {k: t for k, t in tensors.items() if not k.startswith("optimiser.")}, header["progress"]["epoch"]


def largest_difference(one, two):
    assert one.keys() == two.keys()
    return max(float((one[name].double() - two[name].double()).abs().max()) for name in one)


@pytest.fixture(scope="module")
def unbroken(recipe, tmp_path_factory):
    run = tmp_path_factory.mktemp("unbroken") / "run"
    assert main(["run", str(recipe), f"--outdir={run}", "-q"]) == 0
    return weights(run)[0]


def test_two_processes_go_on_with_one_processs_run_to_its_weights(
    hcat, recipe, unbroken, tmp_path, monkeypatch
):
    step, calls = loop.training_step, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 5:  # four steps an epoch: in the second
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(loop, "training_step", interrupted)
    assert hcat("run", recipe, "--outdir=run")[0] == 130
    begun, epoch = weights(tmp_path / "run")
    assert epoch == 1

    out, err = (two := start_two(tmp_path, "run", "--resume", "run")).communicate(timeout=120)
    assert two.returncode == 0, err
    found, epoch = weights(tmp_path / "run")
    assert epoch == 3
    assert largest_difference(found, unbroken) < 1e-5
    assert largest_difference(found, begun) > 1e-4  # two epochs move them further than that
    # One of them writes and speaks.
    assert out.count("epoch   2/3") == out.count("report.html") == 1
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3


def test_when_one_process_is_killed_the_other_ends_and_one_process_alone_goes_on_to_the_same_weights(
    hcat, recipe, unbroken, tmp_path
):
    two = start_two(tmp_path, "run", recipe, "--outdir=run", "--set=training.epochs=3")
    for line in two.stdout:
        if "epoch   1/3" in line:
            break
    children = Path(f"/proc/{two.pid}/task/{two.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    _, err = two.communicate(timeout=60)
    assert two.returncode != 0
    assert "internal error" not in err

    assert hcat("run", "--resume", "run")[0] == 0
    found, epoch = weights(tmp_path / "run")
    assert epoch == 3
    assert largest_difference(found, unbroken) < 1e-5


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--set=imputer.use=vea", 'no imputer is named "vea"'),
        ("--no-such-option", "No such option"),
    ],
)
def test_a_mistake_is_told_once(recipe, tmp_path, option, said):
    two = start_two(tmp_path, "run", recipe, option)
    out, err = two.communicate(timeout=120)
    assert two.returncode != 0
    assert (out + err).count(said) == 1
    assert "exitcode  : 2" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("compare",), "torchrun shares one training among processes, and hcat compare is none"),
        (("run", "--set=estimator.use=random_forest"), "the estimator random_forest cannot"),
    ],
)
def test_what_is_not_one_neural_training_is_not_started_twice(hcat, recipe, monkeypatch, arguments, said):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(distributed, "joined", lambda: contextlib.nullcontext(distributed.Workers(0, 2)))
    command, *options = arguments
    code, out, err = hcat(command, recipe, *options)
    assert code == 2
    assert said in err


def test_workers_share_rows_without_a_gap_and_a_few_rows_are_everyones():
    for size in (1, 2, 3, 7):
        for n in (7, 32, 64):
            shares = [distributed.Workers(rank, size).rows(n) for rank in range(size)]
            assert torch.cat([torch.arange(n)[share] for share in shares]).tolist() == list(range(n))
        assert [distributed.Workers(rank, 8).rows(5) for rank in range(8)] == 8 * [slice(0, 5)]


def test_nothing_is_computed_behind_what_no_loss_uses(monkeypatch):
    monkeypatch.setattr(
        distributed.dist, "all_gather", lambda found, own: [part.copy_(own) for part in found]
    )
    reached = []
    used, unused = (torch.randn(3, 2, requires_grad=True) for _ in range(2))
    unused.register_hook(reached.append)
    predicted, _imputed = distributed.Workers(0, 2).gather([used * 1, unused * 1], 6)
    predicted.sum().backward()
    assert not reached
    assert used.grad.tolist() == [[2.0, 2.0]] * 3  # halved in each of two processes' totals
