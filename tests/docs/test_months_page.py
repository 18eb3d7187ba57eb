"""The page on months and competing risks: its recipe and its Python read the same outcomes."""

import re
from pathlib import Path

import pandas as pd
import pytest
import torch

import hcat_core as hcat
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.runs.recipe_cohort import read_files

PAGE = Path(__file__).parents[2] / "docs/how-to/months-and-competing-risks.md"


def block(language):
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)[0]


@pytest.mark.filterwarnings("ignore::hcat_core.FindingWarning")
def test_the_recipe_and_the_python_of_the_page_give_the_same_competing_outcomes(tmp_path):
    ids = [f"P{number:03d}" for number in range(1, 7)]
    clinical = pd.DataFrame({"patient_id": ids, "age": [61, 70, 55, 48, 66, 59]})
    happened = ["relapse", "alive", "died", "alive", "relapse", "died"]
    outcomes = pd.DataFrame({"patient_id": ids, "months": [14.5, 61, 8.2, 9, 40, 30], "what": happened})
    clinical.to_csv(tmp_path / "clinical.csv", index=False)
    outcomes.to_csv(tmp_path / "outcomes.csv", index=False)
    (tmp_path / "recipe.toml").write_text(block("toml"), encoding="utf-8")
    catalog = load_catalog()
    of_files, _ = read_files(load_recipe(tmp_path / "recipe.toml", catalog)[0], catalog)
    names = {"hcat": hcat, "clinical": clinical, "outcomes": outcomes}
    exec(block("python"), names)
    of_frames = names["cohort"].data
    # Relapse by 24 months; a patient who died first has none; the one who was lost at 9 months is unknown.
    assert of_files.targets.labels[:, 0].tolist() == [1, 0, 0, -1, 0, 0]
    assert of_files.targets.event[:, 0].tolist() == [1, 0, 2, 0, 1, 2]
    for name in ("labels", "event", "time"):
        assert torch.equal(getattr(of_files.targets, name), getattr(of_frames.targets, name)), name
