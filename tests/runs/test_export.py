"""A neural run as one file: it predicts as the run does, with torch alone, or is not written."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import hcat_core
from hcat_core.cli.main import main
from hcat_core.cohort import Cohort
from hcat_core.errors import HcatError, UsageError
from hcat_core.registry.catalog import load_catalog
from hcat_core.runs.export.export import export_run
from hcat_core.runs.trained_run import load_run, save_estimator, write_trained
from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.write import write_cohort

RECIPE = """
[cohort]
root = "files"
[cohort.modalities]
clinical = { path = "clinical.h5" }
semantic = { path = "semantic.h5" }
spatial = { path = "spatial.h5" }
[cohort.targets]
path = "clinical.h5"
[cohort.targets.tasks.survival]
label = "surv_5yr_label"
horizon_days = 1826
outcome = "death"
time = "days_to_death_or_last_info"
event = "death_event"
[cohort.targets.tasks.recurrence]
label = "rec_2yr_label"
horizon_days = 730
outcome = "recurrence"
time = "days_to_recurrence_or_last_info"
event = "recurrence_event"
competing = "survival"
[fusion]
d_model = 16
n_heads = 2
n_global_layers = 1
components = 4
[training]
epochs = 1
[evaluation]
mc_samples = 2
bootstrap = 0
baselines = []
"""


def heads(**trained):
    """The tables of heads, each with the loss that trains it: by task, the names of both."""
    return "".join(
        f'[heads.{task}]\nuse = "{head}"\n[[losses]]\nuse = "{loss}"\nhead = "{task}"\n'
        for task, (head, loss) in trained.items()
    )


FULL = """
[estimator]
use = "neural"
members = 2
evidence = { use = "evidence", trees = 10, widest = 4, components = 3 }
[imputer]
use = "iterative"
n_iterations = 1
hidden = 16
fit_epochs = 1
first = { use = "vae", latent_dim = 4, hidden = 16, fit_epochs = 1, rank = 2, components = 2 }
""" + heads(survival=("discrete_hazard", "hazard"), recurrence=("cox", "cox"))
ONE_MEMBER = '[imputer]\nuse = "mean"\n' + heads(survival=("binary", "bce"), recurrence=("binary", "bce"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cohort with missing blocks and cells, and ``one``, a run of it with one member."""
    place = tmp_path_factory.mktemp("export")
    spec = dataclasses.replace(preset_spec("demo", patients=90, width=6), gap_rate=0.1)
    write_cohort(place / "files", generate(spec))
    train(place, "one", ONE_MEMBER)
    return place


def train(place, name, components):
    """A run in the folder ``name``, without figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(Figure, "savefig", lambda self, file, **settings: file.write("<svg></svg>"))
        (place / f"{name}.toml").write_text(RECIPE + components)
        assert main(["run", f"{name}.toml", "--outdir", name, "-q"]) == 0


def strengthen(path):
    """Let everything in a run matter that one epoch leaves at its start: corrections, network, quality."""
    run = load_run(path, load_catalog())
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for member in run.fitted.estimator.members:
            for name, parameter in member.model.named_parameters():
                if "gates." in name and name.startswith("imputer"):
                    parameter.fill_(0.5)
                elif name.endswith("mean.map.weight") or name.endswith("decoders.map.weight"):
                    parameter.normal_(generator=g)
                elif name.startswith("head_modules") and name.endswith("weight"):
                    parameter.copy_(0.2 * torch.randn(parameter.shape, generator=g))
            member.model.evidence_use.least_quality.fill_(0.4)
    save_estimator(run.folder, run.fitted.estimator)
    write_trained(run.folder, run.layout, run.fitted, run.training, None)


@pytest.fixture(scope="module")
def run(folder):
    """Two members with evidence and networks that impute, all of which matters."""
    train(folder, "full", FULL)
    strengthen(folder / "full")
    return load_run(folder / "full", load_catalog())


@pytest.fixture(scope="module")
def exported(folder, run):
    """The file of the run ``full``, as Python writes it; that of ``one`` is the command's."""
    return hcat_core.load(folder / "full").export(folder / "full.pt2")


@pytest.fixture(scope="module")
def loaded(exported):
    """The file as a function, and the description in it."""
    extra = {"hcat.json": ""}
    return torch.export.load(exported, extra_files=extra).module(), json.loads(extra["hcat.json"])


@pytest.fixture(scope="module")
def module(loaded):
    return loaded[0]


@pytest.fixture
def one(folder):
    return load_run(folder / "one", load_catalog())


def patients_of(run, measured, seed=0):
    """Patients with random values and qualities, of whom the cells of (N, M, D) bools were measured."""
    g = torch.Generator().manual_seed(seed)
    measured = measured & run.layout.cells
    present = measured.any(dim=2)
    standardiser = run.training.standardiser
    emb = standardiser.mean + standardiser.scale * torch.randn(measured.shape, generator=g)
    return Cohort(
        tuple(map(str, range(len(measured)))),
        run.layout,
        torch.where(measured, emb, 0.0),
        measured,
        present,
        torch.rand(present.shape, generator=g) * present,
        present.int(),
    )


def some_patients(run, n=40):
    """Patients of all patterns of modalities, every second one with gaps in them."""
    g = torch.Generator().manual_seed(1)
    m, d = run.layout.cells.shape
    blocks = ((torch.arange(n).unsqueeze(1) % (2**m - 1) + 1) >> torch.arange(m)) % 2 == 1
    cells = torch.rand((n, m, d), generator=g) < 0.7
    cells[::2] = True
    cells[:, :, 0] = True
    return patients_of(run, blocks.unsqueeze(2) & cells)


@pytest.mark.slow
def test_the_file_predicts_what_hcat_predict_does(run, module):
    patients = some_patients(run)
    expected = run.fitted.predict(patients)
    found = module(patients.emb, patients.measured, patients.quality)
    np.testing.assert_allclose(found["probability"], expected.probability, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["curve"], expected.curves, rtol=0, atol=1e-5)
    assert expected.probability.std(axis=0).min() > 0.01  # predictions that differ


@pytest.mark.slow
@settings(max_examples=15)
@given(st.data())
def test_it_does_so_for_any_cells_and_any_number_of_patients(run, module, data):
    m, d = run.layout.cells.shape
    n = data.draw(st.integers(1, 5))
    drawn = data.draw(st.lists(st.booleans(), min_size=n * m * d, max_size=n * m * d))
    measured = torch.tensor(drawn).reshape(n, m, d)
    measured[:, data.draw(st.integers(0, m - 1)), 0] = True
    patients = patients_of(run, measured, data.draw(st.integers(0, 9)))
    expected = run.fitted.single_pass(patients).probability
    found = module(patients.emb, patients.measured, patients.quality)["probability"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_what_was_not_measured_is_ignored_and_nothing_measured_gives_nan(run, module):
    patients = some_patients(run, 8)
    expected = module(patients.emb, patients.measured, patients.quality)["probability"]
    emb = torch.where(patients.measured, patients.emb, torch.nan)
    measured = patients.measured | ~run.layout.cells  # padding is never measured
    quality = torch.where(patients.present, patients.quality, 7.0)
    assert torch.equal(module(emb, measured, quality)["probability"], expected)
    measured[3] = False
    found = module(emb, measured, quality)
    assert found["probability"].isnan().all(dim=1).tolist() == [row == 3 for row in range(8)]
    assert found["curve"][3].isnan().all()


@pytest.mark.slow
def test_the_description_says_what_goes_in_and_what_comes_out(run, exported, loaded):
    description = json.loads(exported.with_suffix(".json").read_text())
    assert loaded[1] == description
    assert [one["name"] for one in description["modalities"]] == list(run.layout.names)
    assert [one["width"] for one in description["modalities"]] == list(run.layout.widths)
    assert [one["output"] for one in description["tasks"]] == ["p_death_5y", "p_recurrence_2y"]
    assert [one["threshold"] for one in description["tasks"]] == run.fitted.thresholds
    assert description["members"] == 2 and description["equals"].startswith("hcat predict")
    assert any("interval" in line for line in description["outside"])


@pytest.mark.slow
def test_one_member_is_exported_as_its_single_pass_and_the_command_says_so(folder, one, tmp_path, capsys):
    target = tmp_path / "one.pt2"
    assert main(["export", str(folder / "one"), "-o", str(target), "--json"]) == 0
    printed = capsys.readouterr()
    assert "hcat predict averages 2 draws" in printed.err
    assert "predicts once, at the imputation's mean" in printed.err
    document = json.loads(printed.out)
    assert document["file"] == str(target) and document["difference"] < 1e-5 and document["draws"] == 2
    # In a process of its own: no module of hcat is needed.
    patients = some_patients(one, 9)
    torch.save([patients.emb, patients.measured, patients.quality], tmp_path / "inputs.pt")
    code = (
        "import sys, torch; inputs = torch.load('inputs.pt');"
        "found = torch.export.load('one.pt2').module()(*inputs)['probability'];"
        "assert not any(name.startswith('hcat') for name in sys.modules);"
        "torch.save(found, 'found.pt')"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True, cwd=tmp_path)
    found = torch.load(tmp_path / "found.pt").numpy()
    np.testing.assert_allclose(found, one.fitted.single_pass(patients).probability, rtol=0, atol=1e-5)
    assert np.abs(found - one.fitted.predict(patients).probability).max() > 1e-4


def test_components_that_cannot_be_traced_are_named_and_nothing_is_written(one, tmp_path):
    class LooksAtValues(torch.nn.Module):
        def __init__(self, fusion):
            super().__init__()
            self.fusion = fusion

        def forward(self, batch, imputation):
            assert batch.emb.sum() < 1e9
            return self.fusion(batch, imputation)

    class CountsPatients(type(one.fitted.estimator.members[0].model.imputer.inner)):
        def __call__(self, batch):
            return super().__call__(batch[: len(batch)])

    model = one.fitted.estimator.members[0].model
    model.fusion = LooksAtValues(model.fusion)
    model.imputer.inner.__class__ = CountsPatients
    with pytest.raises(UsageError) as refusal:
        export_run(one, load_catalog(), tmp_path / "one.pt2")
    assert 'imputer = "mean": the number of patients is not known' in str(refusal.value)
    assert 'fusion = "enhanced_hcat": ' in str(refusal.value)
    assert "heads" not in str(refusal.value) and "docs/how-to/export.md" in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_file_that_would_predict_otherwise_is_not_put_in_place(one, tmp_path):
    class Zeros(torch.nn.Module):
        def forward(self, batch):
            found = one.fitted.estimator.members[0].model.imputer.inner(batch)
            return dataclasses.replace(found, emb=found.emb + found.filled)

    calibrated = one.fitted.estimator.members[0].model.imputer
    type_of = type(calibrated.inner)
    calibrated.inner.__class__ = type("Wrong", (type_of,), {"traceable": lambda self: Zeros()})
    (tmp_path / "one.pt2").write_text("an older file")
    with pytest.raises(HcatError, match="would differ from the run by"):
        export_run(one, load_catalog(), tmp_path / "one.pt2")
    assert [path.name for path in tmp_path.iterdir()] == ["one.pt2"]
    assert (tmp_path / "one.pt2").read_text() == "an older file"


def test_other_runs_and_other_endings_are_refused(folder, one, tmp_path, capsys):
    recipe = dataclasses.replace(one.recipe, estimator={"use": "logistic"})
    fitted = dataclasses.replace(one.fitted, estimator=object())
    with pytest.raises(UsageError, match="'logistic', so that it cannot be exported.*use = \"neural\""):
        export_run(
            dataclasses.replace(one, recipe=recipe, fitted=fitted), load_catalog(), tmp_path / "a.pt2"
        )
    assert main(["export", str(folder / "one"), "-o", str(tmp_path / "a.onnx")]) == 2
    assert "name a file that ends with .pt2" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
