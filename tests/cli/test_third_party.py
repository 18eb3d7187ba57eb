"""A stranger's plugin, installed with pip as a stranger would."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[1] / "data" / "third_party_plugin"
RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder for PYTHONPATH that holds the plugin and its entry point."""
    source = tmp_path_factory.mktemp("source")
    for path in PLUGIN.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            copy = source / path.relative_to(PLUGIN)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--no-index", "--target", target, source], check=True)
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
    assert listed["acme/mean"]["distribution"] == "acme-hcat"
    assert listed["acme/mean"]["version"] == "1.2.0"


def test_it_runs_from_a_recipe_with_its_parameters_checked(installed, tmp_path, cohort_folder):
    arguments = (
        "run",
        RECIPES / "enhanced.toml",
        f"--set=cohort.root={cohort_folder}",
        "--set=imputer.use=acme/mean",
        "--outdir=run",
        *("--d_model=16", "--n_heads=2", "--epochs=1"),
        *("--set=estimator.members=2", "--set=estimator.evidence.trees=10"),
        *("--set=evaluation.baselines=[]", "--set=evaluation.bootstrap=0"),
    )
    done = hcat(installed, *arguments, "--set=imputer.shrinkage=0.3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'use = "acme/mean"' in (tmp_path / "run" / "recipe.toml").read_text()
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    (plugin,) = [p for p in environment["plugins"] if p["entry_point"] == "acme"]
    assert (plugin["distribution"], plugin["version"]) == ("acme-hcat", "1.2.0")
    record = next(installed.glob("acme_hcat-*.dist-info")) / "RECORD"
    assert plugin["record_sha256"] == hashlib.sha256(record.read_bytes()).hexdigest()
    assert plugin["installed_from"]["url"].startswith("file://")
    assert {
        "key": "imputer",
        "kind": "imputer",
        "name": "acme/mean",
        "distribution": "acme-hcat",
        "version": "1.2.0",
    } in environment["components"]
    done = hcat(installed, *arguments, "--set=imputer.shrinkag=0.3", cwd=tmp_path)
    assert done.returncode == 2
    assert 'Did you mean "shrinkage"?' in done.stderr


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
