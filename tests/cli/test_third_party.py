"""A stranger's plugin, installed with pip as a stranger would."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hcat_core.registry.component import KINDS
from hcat_core.testing.new_plugin import EXAMPLES, write_plugin

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder for PYTHONPATH with a plugin of ``hcat new-plugin`` for each kind."""
    sources = []
    for kind in KINDS:
        sources.append(tmp_path_factory.mktemp(kind))
        write_plugin(sources[-1], f"acme_{kind}", kind)
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--no-index", "--target", target, *sources], check=True)
    return target


def hcat(installed, *arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "hcat_core", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *sys.path[1:]])},
    )


def test_it_is_listed_with_its_distribution(installed, tmp_path):
    done = hcat(installed, "list-components", "imputer", "--json", cwd=tmp_path)
    listed = {c["name"]: c for c in json.loads(done.stdout)["components"]}
    assert listed["acme_imputer/shrunk_mean"]["distribution"] == "hcat-acme_imputer"
    assert listed["acme_imputer/shrunk_mean"]["version"] == "0.1.0"


def test_it_runs_from_a_recipe_with_its_parameters_checked(installed, tmp_path, cohort_folder):
    arguments = (
        "run",
        RECIPES / "enhanced.toml",
        f"--set=cohort.root={cohort_folder}",
        "--set=imputer.use=acme_imputer/shrunk_mean",
        "--outdir=run",
        *("--d_model=16", "--n_heads=2", "--epochs=1"),
        *("--set=estimator.members=2", "--set=estimator.evidence.trees=10"),
        *("--set=evaluation.baselines=[]", "--set=evaluation.bootstrap=0"),
    )
    done = hcat(installed, *arguments, "--set=imputer.shrinkage=0.3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'use = "acme_imputer/shrunk_mean"' in (tmp_path / "run" / "recipe.toml").read_text()
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    (plugin,) = [p for p in environment["plugins"] if p["entry_point"] == "acme_imputer"]
    assert (plugin["distribution"], plugin["version"]) == ("hcat-acme_imputer", "0.1.0")
    record = next(installed.glob("hcat_acme_imputer-*.dist-info")) / "RECORD"
    assert plugin["record_sha256"] == hashlib.sha256(record.read_bytes()).hexdigest()
    assert plugin["installed_from"]["url"].startswith("file://")
    assert {
        "key": "imputer",
        "kind": "imputer",
        "name": "acme_imputer/shrunk_mean",
        "distribution": "hcat-acme_imputer",
        "version": "0.1.0",
    } in environment["components"]
    done = hcat(installed, *arguments, "--set=imputer.shrinkag=0.3", cwd=tmp_path)
    assert done.returncode == 2
    assert 'Did you mean "shrinkage"?' in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_keeps_its_contract(installed, tmp_path, kind):
    done = hcat(installed, "check", kind, f"acme_{kind}/{EXAMPLES[kind].module}", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks passed" in done.stdout


def test_its_tests_pass_as_they_were_written(installed, tmp_path):
    write_plugin(tmp_path / "new", "acme_imputer", "imputer")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path / "new",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *sys.path[1:]])},
    )
    assert done.returncode == 0 and "1 xfailed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Acme"], "the plugin's name 'Acme': begin with a letter"),
        (["acme", "--component", "1st"], "the component's name '1st'"),
        (["acme", "--outdir", "filled"], "filled is not empty"),
    ],
)
def test_a_name_or_folder_that_does_not_do_is_refused(installed, tmp_path, arguments, said):
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled" / "mine.txt").touch()
    done = hcat(installed, "new-plugin", *arguments, "--kind", "head", cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr
    assert not (tmp_path / "hcat-acme").exists()


def broken(folder, code):
    info = folder / "ill-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ill\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hcat]\nill = ill_plugin\n")
    (folder / "ill_plugin.py").write_text(code)
    return folder


def test_a_broken_plugin_is_one_line_on_stderr_and_a_row_in_the_list(tmp_path):
    folder = broken(tmp_path, "import no_such_library\n")
    done = hcat(folder, "list-components", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert json.loads(done.stdout)["broken"][0]["provider"] == "ill"
    done = hcat(folder, "show", "imputer", "ill/better", cwd=tmp_path)
    assert done.returncode == 2
    assert "no_such_library" in done.stderr


def test_a_duplicate_names_both_and_stops(tmp_path):
    folder = broken(
        tmp_path,
        "from hcat_core.registry.component import Component\n"
        "from hcat_core.registry.hooks import hookimpl\n"
        "@hookimpl\ndef hcat_components():\n"
        "    return [Component('imputer', 'mean', 'a:B', 'mine')]\n",
    )
    done = hcat(folder, "list-components", cwd=tmp_path)
    assert done.returncode == 2
    assert "builtin" in done.stderr and "ill" in done.stderr
