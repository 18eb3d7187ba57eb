import io
from pathlib import Path

import pytest
from matplotlib.figure import Figure

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
# The default imputer, fitted for a moment: for tests that fitted imputers are a part of.
FITTED_IMPUTER = (
    "--set=imputer.use=iterative",
    "--set=imputer.fit_epochs=2",
    "--set=imputer.first={use='vae', latent_dim=8, fit_epochs=2, rank=2, components=1}",
)
SMALL = (
    *ONE_NETWORK,
    "--set=imputer.use=mean",
    "--d_model=16",
    "--n_heads=2",
    "--epochs=2",
    "--set=evaluation.mc_samples=2",
    "--set=evaluation.bootstrap=50",
    "--set=evaluation.baselines=[]",
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


@pytest.fixture(scope="module", autouse=True)
def without_figures():
    """Reports have empty figures, whose drawing takes half of a small run; a module may replace this."""

    def draw_nothing(figure, file, **settings):
        if isinstance(file, io.StringIO):
            file.write("<svg></svg>")
        else:
            Path(file).write_text("<svg></svg>")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", draw_nothing)
        yield


@pytest.fixture(scope="session")
def finished_run(cohort_folder, tmp_path_factory):
    """The folder of a small run that is finished, of a fitted imputer; not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    where = (f"--set=cohort.root={cohort_folder}", f"--outdir={folder}", "-q")
    assert main(["run", str(RECIPES / "enhanced.toml"), *where, *SMALL, *FITTED_IMPUTER]) == 0
    return folder


@pytest.fixture
def fitted_imputer():
    """Options of ``small_run`` for an imputer that is fitted, briefly."""
    return FITTED_IMPUTER


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
