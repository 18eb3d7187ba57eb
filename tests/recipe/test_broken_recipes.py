"""What a user is told of each mistake: recipes in ``tests/recipe/broken``, messages in ``messages.txt``.

After a deliberate change of the words, write them anew and read the difference:

    HCAT_REWRITE_MESSAGES=1 pytest tests/recipe/test_broken_recipes.py; git diff tests/recipe/messages.txt
"""

import os
import re
from pathlib import Path

import pytest

from hcat_core.errors import RecipeError
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog

BROKEN = Path(__file__).with_name("broken")
MESSAGES = BROKEN.parent / "messages.txt"
NAMES = sorted(path.stem for path in BROKEN.glob("*.toml"))


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


@pytest.fixture(scope="module")
def messages(catalog):
    """By recipe; written anew where the environment says so."""
    if "HCAT_REWRITE_MESSAGES" in os.environ:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(BROKEN)
            blocks = [f"== {name} ==\n{said(name, catalog)}\n" for name in NAMES]
        MESSAGES.write_text("\n".join(blocks), encoding="utf-8")
    parts = re.split(r"^== (\w+) ==\n", MESSAGES.read_text(encoding="utf-8"), flags=re.M)
    return dict(zip(parts[1::2], (text.strip() for text in parts[2::2]), strict=True))


def said(name, catalog):
    """What a user is told who runs it in its folder."""
    with pytest.raises(RecipeError) as error:
        load_recipe(Path(f"{name}.toml"), catalog)
    return str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_the_message_is_the_one_that_was_read_and_found_good(name, catalog, messages, monkeypatch):
    monkeypatch.chdir(BROKEN)
    assert said(name, catalog) == messages[name]


def test_there_are_enough_and_each_has_its_message(messages):
    assert len(NAMES) >= 60
    assert sorted(messages) == NAMES


def test_no_message_shows_the_insides_of_the_program():
    text = MESSAGES.read_text(encoding="utf-8")
    for word in (
        "Traceback",
        "Error:",
        "pydantic",
        "tomllib",
        "NoneType",
        "<class",
        "object at 0x",
        "codec",
    ):
        assert word not in text
    assert text.replace("\n", "").isprintable()


def refused(path, catalog):
    with pytest.raises(RecipeError) as error:
        load_recipe(path, catalog)
    return str(error.value)


def test_a_path_that_is_not_a_file_is_refused_before_it_is_read(catalog, tmp_path):
    (tmp_path / "folder.toml").mkdir()
    assert "is a folder; name the recipe in it" in refused(tmp_path / "folder.toml", catalog)
    os.mkfifo(tmp_path / "pipe.toml")
    assert "is not a regular file" in refused(tmp_path / "pipe.toml", catalog)
    assert "is not a regular file" in refused(Path("/dev/zero"), catalog)
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(1 << 40)  # a hole: takes no disk
    assert "which is too large for a recipe" in refused(tmp_path / "large.toml", catalog)
    assert "there is no recipe at" in refused(Path("a\0b.toml"), catalog)
    assert "cannot be read: File name too long" in refused(tmp_path / ("a" * 300 + ".toml"), catalog)


def test_a_slip_in_the_path_comes_with_the_recipe_that_was_meant(catalog, tmp_path):
    (tmp_path / "hancock.toml").write_text("seed = 1\n")
    for slip in ("hancok.toml", "hancock"):
        assert f'Did you mean "{tmp_path / "hancock.toml"}"?' in refused(tmp_path / slip, catalog)


def test_a_circle_through_a_link_is_a_circle(catalog, tmp_path):
    (tmp_path / "a.toml").write_text('extends = "link.toml"\n')
    (tmp_path / "link.toml").symlink_to("a.toml")
    assert "a recipe extends itself" in refused(tmp_path / "a.toml", catalog)
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    assert "Too many levels of symbolic links" in refused(tmp_path / "loop.toml", catalog)


def test_a_key_inside_many_tables_is_reported(catalog, tmp_path):
    path = tmp_path / "deep.toml"
    path.write_text(f"[{'.'.join('a' * 5000)}]\n")
    assert "more than 32 deep" in refused(path, catalog)
    good = Path(__file__).parents[2] / "recipes" / "enhanced.toml"
    with pytest.raises(RecipeError, match="more than 32 tables deep"):
        load_recipe(good, catalog, sets=[f"{'.'.join('a' * 5000)}=1"])
