"""A plugin that was written for the module paths of the release before still works, and is warned."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hcat_core
from hcat_core.registry.old_paths import MOVED, RENAMED, OldPathWarning
from hcat_core.synth.generator import generate
from hcat_core.synth.spec import preset_spec
from hcat_core.synth.write import write_cohort

RECIPES = Path(__file__).parents[2] / "recipes"

PLUGIN = """
from hcat_core.component import Component
from hcat_core.hooks import hookimpl


@hookimpl
def hcat_components():
    return [Component("imputer", "acme/mean", "acme_old.mean:Mean", "the training mean", ("closed-form",),
                      expected_failures={"beats the mean": "it is the mean, shrunk"})]
"""

IMPUTER = """
import torch

from hcat_core.draws import normal
from hcat_core.interfaces import Imputation
from hcat_core.storage import written_whole


class Mean:
    '''The training mean, ``shrinkage`` times nearer to zero.'''

    def __init__(self, layout, *, shrinkage: float = 0.1):
        self.cells = layout.cells
        self.shrinkage = shrinkage
        self.mean = torch.zeros(self.cells.shape)
        self.spread = torch.ones(self.cells.shape)

    def fit(self, train, validation, context):
        count = train.measured.sum(dim=0).clamp(min=1)
        self.mean = train.emb.sum(dim=0) / count
        self.spread = (((train.emb - self.mean) ** 2 * train.measured).sum(dim=0) / count).sqrt()

    def __call__(self, batch):
        filled = ~batch.measured & self.cells
        emb = torch.where(filled, (1 - self.shrinkage) * self.mean, batch.emb)
        return Imputation(emb, self.spread * filled, filled)

    def state_dict(self):
        return {"mean": self.mean, "spread": self.spread}

    def load_state_dict(self, state):
        self.mean, self.spread = state["mean"], state["spread"]
"""


@pytest.fixture
def hcat(tmp_path):
    """``hcat`` as a process of its own, where the plugin is installed."""
    info = tmp_path / "site" / "acme_old-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-old\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hcat]\nacme = acme_old\n")
    package = tmp_path / "site" / "acme_old"
    package.mkdir()
    (package / "__init__.py").write_text(PLUGIN)
    (package / "mean.py").write_text(IMPUTER)

    def call(*arguments):
        path = os.pathsep.join([str(tmp_path / "site"), *sys.path[1:]])
        return subprocess.run(
            [sys.executable, "-m", "hcat_core", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
        )

    return call


def test_its_components_are_listed_and_one_line_names_the_new_import(hcat):
    done = hcat("list-components", "imputer")
    assert done.returncode == 0
    assert "acme/mean" in done.stdout
    (line,) = (line for line in done.stderr.splitlines() if "hcat moved" in line)
    assert "from hcat_core.registry.component import Component" in line
    assert "acme_old" in line and "line 2" in line


def test_its_imputer_passes_the_checks_with_one_line_of_warning(hcat):
    done = hcat("check", "imputer", "acme/mean")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_run_with_its_imputer_ends_with_one_line_of_warning(hcat, tmp_path):
    write_cohort(tmp_path / "files", generate(preset_spec("demo", patients=80, width=6)))
    done = hcat(
        "run",
        RECIPES / "enhanced.toml",
        *("--set", "cohort.root=files", "--set", "imputer.use=acme/mean", "--outdir", "run", "-q"),
        *("--set", "estimator.members=1", "--epochs", "1", "--d_model", "16", "--n_heads", "2"),
        *("--set", "evaluation.baselines=[]", "--set", "evaluation.bootstrap=0"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (line for line in done.stderr.splitlines() if "hcat moved" in line)
    assert "from hcat_core.registry.component import Component" in line
    assert 'use = "acme/mean"' in (tmp_path / "run/recipe.toml").read_text(encoding="utf-8")


def test_importing_hcat_asks_for_no_torch():
    code = "import sys, hcat_core; assert 'torch' not in sys.modules and 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("old", sorted(MOVED))
def test_an_old_module_has_every_public_name_of_the_new_one(old):
    module, new = importlib.import_module(old), importlib.import_module(MOVED[old])
    for name in (name for name in dir(new) if not name.startswith("_")):
        if f"{old}:{name}" not in RENAMED:
            with pytest.warns(OldPathWarning, match=f"from {MOVED[old]} import {name}"):
                assert getattr(module, name) is getattr(new, name)


@pytest.mark.parametrize("old", sorted(RENAMED))
def test_an_old_name_is_the_new_one(old):
    old_module, _, old_name = old.partition(":")
    new_module, _, new_name = RENAMED[old].partition(":")
    module = importlib.import_module(old_module)
    with pytest.warns(OldPathWarning, match=f"from {new_module} import {new_name}"):
        assert getattr(module, old_name) is getattr(importlib.import_module(new_module), new_name)


def test_the_warning_names_the_line_that_imports(tmp_path, monkeypatch):
    (tmp_path / "uses_old_path.py").write_text("\nfrom hcat_core.recipe import load_recipe\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(OldPathWarning) as caught:
        importlib.import_module("uses_old_path")
    assert {(w.filename, w.lineno) for w in caught} == {(str(tmp_path / "uses_old_path.py"), 2)}


def test_what_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("hcat_core.no_such_module")
    with pytest.raises(ImportError):
        exec("from hcat_core.recipe import no_such_name")
    with pytest.raises(AttributeError):
        hcat_core.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", hcat_core.__all__)
def test_every_public_name_is_there(name):
    assert getattr(hcat_core, name) is not None
