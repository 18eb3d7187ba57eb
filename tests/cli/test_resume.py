"""Whatever stops a run, ``--resume`` does what is not done, to the unbroken run's files."""

import errno
import shutil
from pathlib import Path

import pytest

from hcat_core.cli.main import main
from hcat_core.runs import recipe_cohort
from hcat_core.runs import run as running
from hcat_core.runs.folder import RunFolder
from hcat_core.storage.checkpoint import read_checkpoint, write_checkpoint
from hcat_core.training import checkpoints, fitting, neural_estimator, neural_training

RECIPES = Path(__file__).parents[2] / "recipes"
QUICK = (
    "--set=evaluation.baselines=[]",
    "--set=evaluation.bootstrap=0",
    "--set=evaluation.mc_samples=2",
)
SMALL = ("--set=imputer.use=mean", "--d_model=16", "--n_heads=2", "--epochs=2")
NEURAL = (
    RECIPES / "enhanced.toml",
    *SMALL,
    "--set=estimator.members=1",
    "--set=estimator.evidence=false",
    "--set=training.monitor=auc",
    "--batch=32",
)
MEMBERS = (
    RECIPES / "enhanced.toml",
    *SMALL,
    "--set=estimator.members=2",
    "--set=estimator.evidence.trees=10",
)


def files(folder):
    folder = Path(folder)
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def begin(cohort_folder):
    """``hcat run`` of a recipe into a folder; returns the exit code."""

    def call(*recipe, outdir):
        arguments = ("run", *recipe, f"--set=cohort.root={cohort_folder}", f"--outdir={outdir}", *QUICK)
        return main([str(a) for a in arguments])

    return call


@pytest.fixture(scope="module")
def unbroken(begin, tmp_path_factory):
    """The folder of a finished run, made once for each recipe."""
    made = {}

    def call(*recipe):
        if recipe not in made:
            made[recipe] = tmp_path_factory.mktemp("unbroken") / "run"
            assert begin(*recipe, outdir=made[recipe]) == 0
        return made[recipe]

    return call


@pytest.fixture
def finished(unbroken, hcat):
    """``./run``, a finished neural run, and its files."""
    shutil.copytree(unbroken(*NEURAL), "run")
    return files("run")


@pytest.fixture
def stop(monkeypatch):
    """Ctrl-C at the n-th call of a function; undone by calling what it returns."""

    def at(owner, name, call=1):
        real, calls = getattr(owner, name), []

        def stopping(*arguments, **keywords):
            calls.append(name)
            if len(calls) == call:
                raise KeyboardInterrupt
            return real(*arguments, **keywords)

        monkeypatch.setattr(owner, name, stopping)
        return lambda: monkeypatch.setattr(owner, name, real)

    return at


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (recipe_cohort, "assemble_cohort", 1),
        (neural_training, "fit_imputer_and_heads", 1),
        (checkpoints, "write_checkpoint", 1),
        (checkpoints, "write_checkpoint", 3),
        (RunFolder, "write_metrics", 1),
        (fitting, "calibrated_on", 1),
        (RunFolder, "write_predictions", 1),
        (running, "write_trained", 1),
    ],
)
def test_a_run_stopped_anywhere_ends_with_the_same_files(
    begin, unbroken, hcat, capsys, stop, owner, name, call
):
    whole = unbroken(*NEURAL)
    undo = stop(owner, name, call)
    assert begin(*NEURAL, outdir="run") == 130
    assert "hcat run --resume run" in capsys.readouterr().err
    undo()
    assert hcat("run", "--resume", "run")[0] == 0
    assert files("run") == files(whole)


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (neural_estimator, "fit_imputer", 1),
        (neural_estimator, "train_member", 2),
        (checkpoints, "write_checkpoint", 9),
        (neural_estimator, "choose_residual_weights", 1),
        (running, "save_estimator", 1),
        (running, "write_trained", 1),
    ],
)
def test_an_ensemble_stopped_anywhere_ends_with_the_same_files(
    begin, unbroken, hcat, stop, owner, name, call
):
    whole = unbroken(*MEMBERS)
    undo = stop(owner, name, call)
    assert begin(*MEMBERS, outdir="run") == 130
    undo()
    assert hcat("run", "--resume", "run")[0] == 0
    assert files("run") == files(whole)


@pytest.mark.parametrize("name", ["fit_estimator", "save_estimator", "write_trained"])
def test_an_estimator_that_was_stopped_is_fitted_anew(begin, unbroken, hcat, stop, name):
    recipe = RECIPES / "baselines" / "logistic.toml"
    whole = files(unbroken(recipe))
    undo = stop(running, name)
    assert begin(recipe, outdir="run") == 130
    undo()
    half = Path("run/estimator")
    half.mkdir(exist_ok=True)
    (half / "half.skops").write_bytes(b"half")
    assert hcat("run", "--resume", "run")[0] == 0
    again = files("run")
    assert again.keys() == whole.keys()
    # The time is in what skops writes, and so in its sha256 in trained.safetensors.
    timed = {name for name in whole if name.endswith(".skops")} | {"trained.safetensors"}
    assert {name for name in whole if again[name] != whole[name]} <= timed


def test_what_a_killed_process_leaves_is_cleared_away(finished, hcat):
    Path("run/trained.safetensors").unlink()
    for left in (
        ".lock",
        ".lock-holder",
        ".metrics.jsonl.partial",
        "checkpoints/.last.safetensors.partial",
    ):
        (Path("run") / left).write_text("process 1 on elsewhere since yesterday")
    assert hcat("run", "--resume", "run")[0] == 0
    assert files("run") == finished


def test_a_folder_named_like_half_a_file_is_no_hindrance_and_stays(finished, hcat):
    Path("run/trained.safetensors").unlink()
    Path("run/.notes.partial").mkdir()
    assert hcat("run", "--resume", "run")[0] == 0
    assert files("run") == finished and Path("run/.notes.partial").is_dir()


@pytest.mark.parametrize("option", ["--outdir=other", "--strict", "--epochs=3", "--set=seed=3"])
def test_what_a_resumed_run_keeps_cannot_be_given_anew(finished, hcat, option):
    Path("run/trained.safetensors").unlink()
    code, _, err = hcat("run", "--resume", "run", option)
    name = option.split("=")[0]
    assert code == 2 and f"a resumed run keeps its recipe; leave out: {name}. Start a new run" in err


def test_a_finished_run_is_reported_as_finished_and_no_file_is_touched(finished, hcat):
    def stamps():
        return {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in Path("run").rglob("*") if p.is_file()}

    before = stamps()
    code, out, _ = hcat("run", "--resume", "run")
    assert code == 0 and "is finished" in out
    assert stamps() == before


def test_a_folder_that_was_left_before_its_recipe_was_written_counts_as_empty(begin, unbroken, hcat):
    Path("run").mkdir()
    Path("run/.lock").write_text("process 1 on elsewhere since yesterday")
    Path("run/.recipe.toml.partial").write_text("seed")
    assert begin(*NEURAL, outdir="run") == 0
    assert files("run") == files(unbroken(*NEURAL))


def test_an_error_before_the_training_leaves_no_folder_nor_any_above_it(begin, hcat, tmp_path):
    assert begin(*NEURAL, "--set=cohort.modalities.clinical.path=none.h5", outdir="some/where/run") == 3
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_refused_by_name_and_one_that_is_gone_is_made_again(finished, hcat):
    last = Path("run/checkpoints/last.safetensors")
    Path("run/trained.safetensors").unlink()
    last.write_bytes(last.read_bytes()[:-1])
    code, _, err = hcat("run", "--resume", "run")
    assert code == 3 and "last.safetensors: damaged or truncated" in err
    last.unlink()
    assert hcat("run", "--resume", "run")[0] == 0
    assert files("run") == finished


def swap(damage, name="average"):
    """The best epoch's checkpoint is gone, or the last epoch's is in its place; returns its path."""
    best = Path(f"run/checkpoints/best_{name}.safetensors")
    if damage == "missing":
        best.unlink()
    else:
        shutil.copy("run/checkpoints/final.safetensors", best)
    return best


@pytest.mark.parametrize("damage", ["missing", "swapped"])
@pytest.mark.parametrize("name", ["average", "survival"])
def test_a_best_checkpoint_that_is_gone_or_swapped_is_not_gone_on_without(finished, hcat, damage, name):
    Path("run/trained.safetensors").unlink()
    best = swap(damage, name)
    code, _, err = hcat("run", "--resume", "run")
    assert code == 3 and f"{best}: not the checkpoint of epoch" in err
    Path("run/checkpoints/last.safetensors").unlink()  # the way out that is told
    assert hcat("run", "--resume", "run")[0] == 0
    assert files("run") == finished


@pytest.mark.parametrize("damage", ["missing", "swapped"])
def test_predict_refuses_a_best_checkpoint_that_is_gone_or_swapped(finished, hcat, cohort_folder, damage):
    best = swap(damage)
    code, _, err = hcat("predict", "run", "--root", cohort_folder)
    assert code == 3 and f"{best}: not the file that this run wrote: missing" in err


def test_without_validation_patients_the_last_checkpoint_predicts_and_no_other(begin, hcat, cohort_folder):
    assert begin(*NEURAL, "--set=split.validation=0", outdir="run") == 0
    whole = files("run")
    assert "checkpoints/best_average.safetensors" not in whole
    assert hcat("predict", "run", "--root", cohort_folder, "--no-explain")[0] == 0
    Path("run/trained.safetensors").unlink()
    assert hcat("run", "--resume", "run")[0] == 0
    assert files("run") == whole
    last = Path("run/checkpoints/last.safetensors")
    shutil.copy("run/checkpoints/final.safetensors", last)
    code, _, err = hcat("predict", "run", "--root", cohort_folder)
    assert code == 3 and f"{last}: not the file that this run wrote" in err


@pytest.mark.parametrize("name", ["checkpoints/best_average.safetensors", "trained.safetensors"])
def test_predict_refuses_a_file_of_another_run_by_name(finished, unbroken, hcat, cohort_folder, name):
    shutil.copy(unbroken(*NEURAL, "--set=seed=7") / name, Path("run") / name)
    code, _, err = hcat("predict", "run", "--root", cohort_folder)
    assert code == 3 and f"run/{name}: " in err and "of another run" in err


def test_a_recipe_changed_in_the_run_folder_is_not_gone_on_with(finished, hcat):
    Path("run/trained.safetensors").unlink()
    recipe = Path("run/recipe.toml")
    recipe.write_text(recipe.read_text().replace("epochs = 2", "epochs = 3"))
    code, _, err = hcat("run", "--resume", "run")
    assert code == 3 and "last.safetensors: of another run" in err


@pytest.mark.parametrize("damage", ["edited", "missing", "added"])
def test_predict_refuses_an_estimators_file_that_the_run_did_not_write(
    unbroken, hcat, cohort_folder, damage
):
    shutil.copytree(unbroken(RECIPES / "baselines" / "logistic.toml"), "run")
    assert hcat("predict", "run", "--root", cohort_folder, "--no-explain")[0] == 0
    path = sorted(Path("run/estimator").glob("*.skops"))[0]
    if damage == "edited":
        path.write_bytes(path.read_bytes() + b"x")
    elif damage == "missing":
        path.unlink()
    else:
        path = path.with_name("more.skops")
        path.write_bytes(b"x")
    code, _, err = hcat("predict", "run", "--root", cohort_folder)
    assert code == 3 and f"{path}: not the file that this run wrote" in err


def test_a_loss_that_is_not_finite_is_exit_4_with_a_checkpoint_that_loads(begin, hcat, capsys):
    assert begin(*NEURAL, "--lr=1e30", outdir="run") == 4
    err = capsys.readouterr().err
    assert "epoch 1, batch 2 of 3" in err and "smaller training.lr" in err and "Traceback" not in err
    assert read_checkpoint(Path("run/checkpoints/last.safetensors"))[1]["progress"]["epoch"] == 0


def test_a_full_disk_is_one_line_that_names_the_file_and_how_to_go_on(begin, hcat, capsys, monkeypatch):
    def refuse(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    def full(path, tensors, header, recipe=""):
        monkeypatch.setattr(Path, "write_bytes", refuse)
        write_checkpoint(path, tensors, header, recipe)

    monkeypatch.setattr(checkpoints, "write_checkpoint", full)
    assert begin(*NEURAL, outdir="run") == 4
    assert capsys.readouterr().err == (
        "hcat: run/checkpoints/last.safetensors cannot be written: No space left on device. "
        "Free some space. Then go on: hcat run --resume run\n"
    )
