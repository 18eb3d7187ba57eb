from pathlib import Path

import pytest

from hcat_core.errors import RecipeError
from hcat_core.recipe.file_readers import reader_for
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog

ENDINGS = {
    "o.csv": "table", "o.CSV": "table", "o.tsv": "table", "o.parquet": "table", "o.csv.gz": "table",
    "a.b.csv": "table",
    "o.h5": "h5", "o.hdf5": "h5", "v1.2.h5": "h5", "o.h5ad": "h5ad",
}  # fmt: skip


def load(tmp_path, modality, targets):
    (tmp_path / "r.toml").write_text(f"""
estimator = {{ use = "logistic" }}
cohort.modalities.a = {{ {modality} }}
cohort.targets = {{ {targets}, tasks.t.label = "y" }}
""")
    return load_recipe(tmp_path / "r.toml", load_catalog())[0]


@pytest.mark.parametrize(("name", "reader"), ENDINGS.items())
def test_the_ending_of_a_file_names_its_reader(tmp_path, name, reader):
    recipe = load(tmp_path, f'path = "{name}"', f'path = "{name}"')
    assert recipe.cohort.targets.use == reader and recipe.cohort.modalities["a"]["use"] == reader
    (tmp_path / "again.toml").write_text(recipe.to_toml())
    assert load_recipe(tmp_path / "again.toml", load_catalog())[0].as_dict() == recipe.as_dict()


def test_a_reader_that_is_named_wins_over_the_ending(tmp_path):
    recipe = load(tmp_path, 'use = "h5", path = "slides.csv"', 'use = "h5", path = "o.csv"')
    assert recipe.cohort.targets.use == "h5" and recipe.cohort.modalities["a"]["use"] == "h5"


@pytest.mark.parametrize("name", ["slides", "o.dat", "o.gz", "o.csv.zip", ".csv.d"])
def test_an_ending_that_names_no_reader_needs_one(tmp_path, name):
    with pytest.raises(RecipeError) as error:
        load(tmp_path, f'path = "{name}"', f'path = "{name}"')
    assert {problem.key for problem in error.value.problems} == {
        "cohort.modalities.a.use",
        "cohort.targets.use",
    }


def test_a_file_of_the_command_line_keeps_a_reader_that_can_read_it():
    assert reader_for(Path("x.csv"), "h5") == "table" and reader_for(Path("x.h5"), "table") == "h5"
    assert reader_for(Path("folder"), "h5") == "h5" and reader_for(Path("x.csv.gz"), "h5") == "table"
