"""Whatever a recipe or a command line holds, it is a recipe, or an error that names its source.

HCAT_EXAMPLES=2000 pytest tests/recipe/test_any_recipe.py tries more.
"""

import copy
import datetime
import os
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcat_core.errors import RecipeError, UsageError
from hcat_core.recipe.loading import read_recipe_tree
from hcat_core.recipe.options import INPUTS, OPTIONS
from hcat_core.recipe.recipe import KEYS, load_recipe
from hcat_core.registry.catalog import load_catalog

RECIPES = Path(__file__).parents[2] / "recipes"
SHIPPED = sorted(RECIPES.rglob("*.toml"))
TREES = [read_recipe_tree(path) for path in SHIPPED]

WORDS = ["use", "path", "head", "task", "weight", "first", "members", "model", "mean", "vae", "h5", "bce"]
KEY = st.sampled_from([*KEYS, *WORDS, "extends", "survival", "clinical", "tasks", "modalities"]) | st.text(
    max_size=6
)
LEAF = (
    st.booleans()
    | st.integers()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from([*WORDS, "../x", "enhanced.toml", "\x1b[31m", "ü", ""])
    | st.text(max_size=8)
    | st.dates()
    | st.times()
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC))
)
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=8,
)
QUIET = settings(
    max_examples=int(os.environ.get("HCAT_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def is_recipe_or_error(path, catalog, **arguments):
    """Load; what loads is saved and loaded to the same recipe, what does not is refused in words."""
    try:
        recipe, _ = load_recipe(path, catalog, caller=path.parent, **arguments)
    except UsageError as error:
        assert isinstance(error, RecipeError)
        assert str(path.parent) in str(error), error
        assert str(error).replace("\n", "").isprintable()
        return
    saved = path.with_name("saved.toml")
    saved.write_text(recipe.to_toml(), encoding="utf-8")
    again, _ = load_recipe(saved, catalog, caller=Path("/"))
    assert again.as_dict() == recipe.as_dict()
    assert again.to_toml() == recipe.to_toml()


def places(tree, at=()):
    """Every place of a tree, as keys from its root."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


@QUIET
@given(tree=st.dictionaries(KEY, VALUE, max_size=6))
def test_any_document(catalog, tmp_path, tree):
    path = tmp_path / "any.toml"
    path.write_text(tomli_w.dumps(tree), encoding="utf-8", errors="surrogatepass")
    is_recipe_or_error(path, catalog)


@QUIET
@given(data=st.data())
def test_any_change_of_a_shipped_recipe(catalog, tmp_path, data):
    tree = copy.deepcopy(data.draw(st.sampled_from(TREES)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(list(places(tree))))
        node = tree
        for key in place[:-1]:
            node = node[key]
        change = data.draw(st.sampled_from(["value", "remove", "rename", "add"]))
        if change == "remove":
            del node[place[-1]]
        elif change == "value" or isinstance(node, list):
            node[place[-1]] = data.draw(VALUE)
        elif change == "rename":
            node[data.draw(KEY)] = node.pop(place[-1])
        else:
            node[data.draw(KEY)] = data.draw(VALUE)
    path = tmp_path / "changed.toml"
    path.write_text(tomli_w.dumps(tree), encoding="utf-8", errors="surrogatepass")
    is_recipe_or_error(path, catalog)


@QUIET
@given(data=st.data())
def test_any_bytes_put_into_a_shipped_recipe(catalog, tmp_path, data):
    text = data.draw(st.sampled_from(SHIPPED)).read_bytes()
    start = data.draw(st.integers(0, len(text)))
    gone = data.draw(st.integers(0, 40))
    put = data.draw(
        st.binary(max_size=4) | st.sampled_from([b'"', b"]", b"[[", b"\n", b"=", b"\\", b"'''"])
    )
    path = tmp_path / "cut.toml"
    path.write_bytes(text[:start] + put + text[start + gone :])
    is_recipe_or_error(path, catalog)


@QUIET
@given(data=st.data())
def test_any_setting_option_and_input(catalog, tmp_path, data):
    tree = data.draw(st.sampled_from(TREES))
    path = tmp_path / "recipe.toml"
    path.write_text(tomli_w.dumps(tree), encoding="utf-8")
    dotted = st.sampled_from([".".join(map(str, place)) for place in places(tree)])
    keys = dotted | st.lists(KEY, min_size=1, max_size=4).map(".".join)
    values = VALUE.map(lambda value: tomli_w.dumps({"value": value}).partition("=")[2]) | st.text(
        max_size=8
    )
    sets = data.draw(st.lists(st.builds("{}={}".format, keys, values) | st.text(max_size=8), max_size=4))
    chosen = data.draw(st.lists(st.sampled_from(OPTIONS), max_size=3))
    draw = {int: st.integers(), float: st.floats(), str: st.text(max_size=6), bool: st.booleans()}
    options = {option.name: data.draw(draw[option.type]) for option in chosen}
    names = st.sampled_from(INPUTS) | st.text(max_size=6)
    files = st.sampled_from(["a.h5", "b.csv", "/x/c.parquet"]).map(Path)
    inputs = data.draw(st.dictionaries(names, files, max_size=2))
    is_recipe_or_error(path, catalog, sets=sets, options=options, inputs=inputs)


def test_the_shipped_recipes_are_fixed_points(catalog, tmp_path):
    for path, tree in zip(SHIPPED, TREES, strict=True):
        copied = tmp_path / path.name
        copied.write_text(tomli_w.dumps(tree), encoding="utf-8")
        load_recipe(copied, catalog)
        is_recipe_or_error(copied, catalog)
