"""The recipes on the pages about published files read them in the right unit and direction."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from hcat_core.cli.main import main
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.runs.recipe_cohort import read_files

ROOT = Path(__file__).parents[2]
HANCOCK = ROOT.parent / "shared" / "data" / "hancock"


def recipe_of(page, folder):
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    path = folder / "recipe.toml"
    path.write_text(re.search(r"^```toml\n(.*?)^```$", text, re.M | re.S)[1], encoding="utf-8")
    return path


def cohort_of(path, **options):
    catalog = load_catalog()
    return read_files(load_recipe(path, catalog, **options)[0], catalog)


@pytest.mark.skipif(not HANCOCK.is_dir(), reason="HANCOCK is not here")
def test_hancocks_csv_files_have_the_outcomes_of_its_prepared_ones(tmp_path):
    recipe = recipe_of("hancock.md", tmp_path)
    published, report = cohort_of(recipe, sets=[f"cohort.root={HANCOCK / 'features'}"])
    prepared, _ = cohort_of(ROOT / "recipes" / "hancock.toml", sets=[f"cohort.root={HANCOCK / 'h5'}"])
    place = {patient: row for row, patient in enumerate(published.patient_ids)}
    rows = torch.tensor([place[patient] for patient in prepared.patient_ids])
    assert len(rows) == len(published) == 763
    for name in ("labels", "event", "time"):
        assert torch.equal(getattr(published.targets, name)[rows], getattr(prepared.targets, name)), name
    assert report.findings == ()
    pathological = published.layout.modalities[1]
    assert "primary_tumor_site=4" in pathological.features and pathological.width == 27


def tcga_table(folder):
    """A table as MCAT and PORPOISE publish them: one row per slide, some patients with two."""
    rng = np.random.default_rng(0)
    n = 120
    dead = rng.random(n) < 0.5
    table = pd.DataFrame(
        {
            "case_id": [f"TCGA-{row % 7:02d}-{1000 + row}" for row in range(n)],
            "slide_id": [f"TCGA-{row % 7:02d}-{1000 + row}-01Z-00-DX1.svs" for row in range(n)],
            "site": [f"{row % 7:02d}" for row in range(n)],
            "survival_months": rng.uniform(1, 140, n).round(2),
            "censorship": (~dead).astype(float),
            "age": rng.integers(40, 80, n),
            "is_female": rng.integers(0, 2, n),
            **{f"G{gene}_rnaseq": rng.normal(size=n).round(4) for gene in range(5)},
            **{f"G{gene}_cnv": rng.integers(-2, 3, n) for gene in range(3)},
        }
    )
    second = table.iloc[::3].assign(slide_id=lambda t: t.slide_id.str.replace("DX1", "DX2"))
    pd.concat([table, second]).to_csv(folder / "tcga_hnsc_all_clean.csv", index=False)
    return table


def test_a_table_of_slides_in_months_with_censorship_is_read_as_it_is(tmp_path):
    table = tcga_table(tmp_path)
    cohort, report = cohort_of(recipe_of("tcga.md", tmp_path))
    assert list(cohort.patient_ids) == table.case_id.tolist()
    days = table.survival_months.to_numpy() * 30.4375
    np.testing.assert_allclose(cohort.targets.time[:, 0].numpy(), days, rtol=1e-6)
    np.testing.assert_array_equal(cohort.targets.event[:, 0].numpy(), 1 - table.censorship)
    expected = np.where(days > 1826, 0, np.where(table.censorship == 0, 1, -1))
    np.testing.assert_array_equal(cohort.targets.labels[:, 0].numpy(), expected)
    assert [m.features for m in cohort.layout.modalities] == [
        ("age", "is_female"), tuple(f"G{g}_rnaseq" for g in range(5)), tuple(f"G{g}_cnv" for g in range(3))
    ]  # fmt: skip
    np.testing.assert_allclose(cohort.emb[:, 1, :5].numpy(), table.filter(like="_rnaseq"), rtol=1e-6)
    assert [int(site) for site in cohort.groups] == table.site.astype(int).tolist()
    assert not any("month" in finding for finding in report.findings)


def test_the_unit_and_the_direction_are_asked_for_where_the_recipe_forgets_them(tmp_path, capsys):
    tcga_table(tmp_path)
    path = recipe_of("tcga.md", tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('time_unit = "months"\n', ""), encoding="utf-8")
    assert main(["inspect", str(path)]) == 0
    assert "months" in capsys.readouterr().err
    path.write_text(text.replace("censored =", "event ="), encoding="utf-8")
    assert main(["inspect", str(path)]) == 2
    assert 'censored = "censorship"' in capsys.readouterr().err
