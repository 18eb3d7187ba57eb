"""The schema for editors accepts every recipe that hcat does, and marks misspelt keys and wrong values."""

import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from hcat_core.recipe.json_schema import recipe_schema
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog

RECIPES = sorted((Path(__file__).parents[2] / "recipes").rglob("*.toml"))


@pytest.fixture(scope="module")
def validator():
    schema = recipe_schema(load_catalog())
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_fit_as_written_and_with_all_defaults(validator, recipe):
    validator.validate(tomllib.loads(recipe.read_text()))
    complete, _ = load_recipe(recipe, load_catalog())
    validator.validate(complete.as_dict())


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[training]\nepoch = 3", "training"),
        ("[training]\nepochs = 'many'", "training"),
        ("[imputer]\nuse = 'knn'\nneighbors = 3", "imputer"),
        ("[imputer]\nuse = 'meen'", "imputer"),
        ("[heads.survival]\nuse = 'binary'\ntask = 3", "heads"),
        ("[cohort.modalities.rna]\nuse = 'h5'\nembeding = 'x'", "cohort"),
        ("[cohort.targets.tasks.death]\nhorizon = 3", "cohort"),
        ("[cohort]\ngroup = 'site'", "cohort"),
        ("[[losses]]\nuse = 'bce'\nweights = 1", "losses"),
        ("[estimator]\nuse = 'random_forest'\ntrees = -5", "estimator"),
    ],
)
def test_a_mistake_is_marked_in_its_table(validator, text, place):
    errors = list(validator.iter_errors(tomllib.loads(text)))
    assert errors and {error.absolute_path[0] for error in errors} == {place}


@pytest.mark.parametrize(
    "text",
    [
        "[cohort.modalities]\nrna = false",
        "[cohort.targets.tasks]\nrecurrence = false",
        "[heads]\nrecurrence = false",
        "[imputer]\nlr = 0.1",  # a key of the imputer that the extended recipe names
        "losses = false",
    ],
)
def test_a_recipe_may_change_or_remove_what_another_has(validator, text):
    validator.validate(tomllib.loads(text))
