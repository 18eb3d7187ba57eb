from pathlib import Path

import pytest

from hcat_core.cli.main import main
from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.write import write_cohort

RECIPES = Path(__file__).parents[2] / "recipes"
ONE_NETWORK = (
    "--set=estimator.members=1",
    "--set=estimator.evidence=false",
    "--set=training.monitor=auc",
    "--batch=32",
)
SMALL = (
    *ONE_NETWORK,
    "--d_model=16",
    "--n_heads=2",
    "--epochs=2",
    "--set=evaluation.mc_samples=2",
    "--set=evaluation.bootstrap=50",
)


@pytest.fixture(scope="session")
def cohort_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "files"
    write_cohort(folder, generate(preset_spec("demo", patients=120, width=8)))
    return folder


@pytest.fixture
def hcat(capsys, monkeypatch, tmp_path):
    """Run a command line in an empty directory: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def small_run(hcat, cohort_folder):
    """``hcat run`` of a very small model on a very small cohort."""

    def call(*arguments, outdir="run"):
        return hcat(
            "run",
            RECIPES / "enhanced.toml",
            f"--set=cohort.root={cohort_folder}",
            f"--outdir={outdir}",
            *SMALL,
            *arguments,
        )

    return call
