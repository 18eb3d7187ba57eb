"""A disk that fills up while a run writes: a real one, a small tmpfs in a mount namespace of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hcat_core.checkpoint import read_checkpoint
from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.write import write_cohort

RECIPE = Path(__file__).parents[2] / "recipes" / "enhanced.toml"
QUICK = (
    "--set=cohort.root=cohort", "--set=imputer.use=mean", "--d_model=16", "--n_heads=2", "--epochs=2",
    "--set=evaluation.baselines=[]", "--set=evaluation.bootstrap=0", "--set=evaluation.mc_samples=2",
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
def run_on_small_disk(tmp_path):
    """``hcat run`` on a tmpfs of some size; what it leaves is copied to ``run``."""
    (tmp_path / "small").mkdir()
    if in_namespace(MOUNT.format(size="1m"), tmp_path).returncode:
        pytest.skip("no tmpfs can be mounted here")
    write_cohort(tmp_path / "cohort", generate(preset_spec("demo", patients=120, width=8)))

    def call(size):
        hcat = [sys.executable, "-m", "hcat_core", "run", str(RECIPE), *QUICK, "--outdir=small/run"]
        script = f"{MOUNT.format(size=size)} && {' '.join(hcat)}; code=$?; cp -r small/run .; exit $code"
        return in_namespace(script, tmp_path)

    return call


def test_a_full_disk_leaves_the_last_good_checkpoint_and_says_how_to_go_on(run_on_small_disk, tmp_path):
    # Room for the first checkpoint and the best ones, not for the optimiser's state beside them.
    done = run_on_small_disk("700k")
    assert done.returncode == 4, done.stderr
    assert done.stderr == (
        "hcat: small/run/checkpoints/last.safetensors cannot be written: No space left on device. "
        "Free some space. Then go on: hcat run --resume small/run\n"
    )
    _, header = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.safetensors")
    assert header["progress"]["epoch"] == 0
    assert list((tmp_path / "run").rglob(".*")) == []


def test_a_disk_with_no_room_for_the_recipe_is_said_so_and_nothing_is_left(run_on_small_disk, tmp_path):
    done = run_on_small_disk("1")
    assert done.returncode == 4
    assert "cannot be written: No space left on device. Free some space." in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) == 2  # and that of cp
    assert not (tmp_path / "run").exists()
