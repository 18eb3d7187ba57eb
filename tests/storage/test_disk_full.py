"""A disk that fills up while a run writes: a real one, a small tmpfs in a mount namespace of its own."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hcat_core.storage.checkpoint import read_checkpoint
from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.write import write_cohort

RECIPE = Path(__file__).parents[2] / "recipes" / "enhanced.toml"
QUICK = (
    "--set=cohort.root=cohort", "--set=imputer.use=mean", "--d_model=16", "--n_heads=2", "--epochs=2",
    "--set=evaluation.baselines=[]", "--set=evaluation.bootstrap=0", "--set=evaluation.mc_samples=2",
    "--set=estimator.members=1", "--set=estimator.evidence=false",
)  # fmt: skip
MOUNT = "mount -t tmpfs -o size={size} tmpfs small"


def in_namespace(script, folder):
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture
def on_small_disk(tmp_path):
    """``hcat`` beside ``small``, a tmpfs of some size, and then a shell command."""
    (tmp_path / "small").mkdir()
    if in_namespace(MOUNT.format(size="1m"), tmp_path).returncode:
        pytest.skip("no tmpfs can be mounted here")
    write_cohort(tmp_path / "cohort", generate(preset_spec("demo", patients=120, width=8)))

    def call(size, *arguments, then):
        hcat = shlex.join([sys.executable, "-m", "hcat_core", *map(str, arguments)])
        return in_namespace(f"{MOUNT.format(size=size)} && {hcat}; code=$?; {then}; exit $code", tmp_path)

    return call


@pytest.fixture
def run_on_small_disk(on_small_disk):
    """``hcat run`` on a tmpfs of some size; what it leaves is copied to ``run``."""
    return lambda size: on_small_disk(
        size, "run", RECIPE, *QUICK, "--outdir=small/run", then="cp -r small/run ."
    )


def test_a_full_disk_leaves_the_last_good_checkpoint_and_says_how_to_go_on(run_on_small_disk, tmp_path):
    # Room for the first checkpoint and the best ones, not for the optimiser's state beside them.
    done = run_on_small_disk("700k")
    assert done.returncode == 4, done.stderr
    assert done.stderr.endswith(
        "hcat: small/run/checkpoints/last.safetensors cannot be written: No space left on device. "
        "Free some space. Then go on: hcat run --resume small/run\n"
    )
    _, header = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.safetensors")
    assert header["progress"]["epoch"] == 0
    assert list((tmp_path / "run").rglob(".*")) == []


def test_a_disk_without_room_for_the_recipe_is_an_error_and_nothing_is_left(run_on_small_disk, tmp_path):
    done = run_on_small_disk("1")
    assert done.returncode == 4
    assert "cannot be written: No space left on device. Free some space." in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 2  # and that of cp
    assert not (tmp_path / "run").exists()


# No room for a whole file, and none for all of them.
@pytest.mark.parametrize("size", ["4k", "60k"])
@pytest.mark.parametrize("place", ["all.h5mu", "h5ad", "h5", "csv", "synth"])
def test_what_converts_or_makes_a_cohort_names_where_and_leaves_nothing(
    on_small_disk, tmp_path, place, size
):
    named = Path("small") / place
    if place == "synth":
        command = ("synth", named, "--patients=60", "--width=8")
    else:
        command = ("convert", RECIPE, named, "--to", place.split(".")[-1], "--set=cohort.root=cohort")
    done = on_small_disk(size, *command, then="ls -A small")
    assert done.returncode == 4, done.stdout + done.stderr
    *_, last = done.stderr.splitlines()
    assert last == f"hcat: {named} cannot be written: No space left on device. Free some space."
    assert "Traceback" not in done.stderr and ".partial" not in done.stderr
    assert done.stdout == ""
