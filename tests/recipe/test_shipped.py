"""Shipped recipes are found by name from any folder, and are part of the wheel."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hcat_core.cli.main import main
from hcat_core.errors import RecipeError
from hcat_core.recipe.loading import read_recipe_tree
from hcat_core.recipe.shipped import find_recipe, first_sentence, shipped_recipes

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["enhanced.toml", "enhanced", "baselines/coxnet.toml", "baselines/coxnet"])
def test_a_shipped_recipe_is_found_by_its_name(name):
    found = find_recipe(Path(name))
    assert found.is_file() and found.with_suffix("").as_posix().endswith(name.removesuffix(".toml"))


def test_a_file_of_that_name_in_the_current_folder_wins(elsewhere):
    (elsewhere / "enhanced.toml").write_text("seed = 1\n")
    assert find_recipe(Path("enhanced.toml")) == Path("enhanced.toml")


def test_a_folder_of_that_name_does_not_hide_the_recipe(elsewhere):
    (elsewhere / "enhanced").mkdir()
    assert find_recipe(Path("enhanced")).name == "enhanced.toml"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("enhancd.toml", "enhanced.toml"), ("coxnet.toml", "baselines/coxnet.toml"),
     ("recipes/enhanced.toml", "enhanced.toml")],
)  # fmt: skip
def test_an_unknown_name_comes_with_the_nearest_and_where_all_are_listed(name, nearest):
    with pytest.raises(RecipeError) as refused:
        find_recipe(Path(name))
    assert f'Did you mean "{nearest}"? `hcat recipes` lists' in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("name", ["../enhanced.toml", "baselines/../enhanced.toml", "a\0b.toml"])
def test_a_path_that_is_no_name_of_a_shipped_recipe_is_not_found(name):
    with pytest.raises(RecipeError):
        find_recipe(Path(name))


def test_every_shipped_recipe_says_what_it_is_and_extends_others_that_ship():
    recipes = shipped_recipes()
    assert {"enhanced.toml", "hancock.toml", "small_cohort.toml", "baselines/stack.toml"} <= set(recipes)
    for path in recipes.values():
        assert len(first_sentence(path)) > 20, path
        assert "extends" not in read_recipe_tree(path)


def test_the_first_sentence_is_that_of_the_prose(elsewhere):
    path = elsewhere / "r.toml"
    path.write_text(
        "# hcat run r.toml\n#\n# A model (Doe et al. 2025) of two\n# lines. And more.\nseed = 1\n# No.\n"
    )
    assert first_sentence(path) == "A model (Doe et al. 2025) of two lines."


@pytest.mark.parametrize(
    "command", [["run"], ["inspect"], ["convert", "--to=h5"], ["compare"], ["compare-imputers"]]
)
def test_every_command_that_takes_a_recipe_finds_it_the_same_way(command, capsys):
    name, *options = command
    destination = ["out"] if name == "convert" else []
    code = main([name, "enhancd", *destination, *options])
    assert code == 2 and 'Did you mean "enhanced.toml"?' in capsys.readouterr().err


def test_the_list_as_text_and_as_json(capsys):
    assert main(["recipes"]) == 0
    text = capsys.readouterr().out
    assert main(["recipes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["recipes"]
    assert [recipe["name"] for recipe in listed] == sorted(shipped_recipes())
    assert all(recipe["name"] in text for recipe in listed)
    assert all(Path(recipe["path"]).is_file() and recipe["summary"] for recipe in listed)


@pytest.mark.slow
def test_the_wheel_holds_every_recipe_and_finds_them_where_it_is_installed(elsewhere):
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", elsewhere / "w", ROOT],
        check=True,
    )
    (wheel,) = (elsewhere / "w").glob("hcat_core-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {name for name in names if name.startswith("hcat_core/shipped_recipes/")}
    recipes = (ROOT / "recipes").rglob("*.toml")
    assert shipped == {f"hcat_core/shipped_{path.relative_to(ROOT).as_posix()}" for path in recipes}
    assert not any(name.startswith(("recipes/", "tests/", "docs/")) for name in names)
    installed = elsewhere / "site"
    zipfile.ZipFile(wheel).extractall(installed)
    code = (
        "from pathlib import Path; from hcat_core.recipe.shipped import find_recipe; "
        "print(find_recipe(Path('baselines/stack')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(installed), "PATH": ""}, cwd=elsewhere,
    )  # fmt: skip
    assert Path(done.stdout.strip()) == installed / "hcat_core/shipped_recipes/baselines/stack.toml"
