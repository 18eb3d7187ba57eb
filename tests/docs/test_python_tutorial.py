"""The tutorial for Python runs as it stands, on a table like those of TCGA."""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hcat_core as hcat

PAGE = Path(__file__).parents[2] / "docs/how-to/python.md"
BLOCKS = re.findall(
    r"^```python\n(.*?)```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
)


def tcga_like(patients=110):
    """One row per slide: two of every tenth patient, months of follow-up, censorship."""
    rng = np.random.default_rng(0)
    risk = rng.normal(size=patients)
    genes = {f"G{place}_rnaseq": rng.normal(size=patients) + risk for place in range(4)}
    copies = {f"G{place}_cnv": rng.integers(-2, 3, patients) for place in range(3)}
    death, end = rng.exponential(45 * np.exp(-risk)), rng.uniform(20, 120, patients)
    frame = pd.DataFrame(
        {
            "case_id": [f"TCGA-{place:04d}" for place in range(patients)],
            "site": rng.choice([f"S{place}" for place in range(14)], patients),
            "is_female": rng.integers(0, 2, patients),
            "age": rng.integers(30, 90, patients),
            "survival_months": np.minimum(death, end).round(2),
            "censorship": (death > end).astype(int),
            **genes,
            **copies,
        }
    )
    return pd.concat([frame, frame.iloc[::10]])


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tcga_like().to_csv("tcga_hnsc_all_clean.csv", index=False)
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hcat.FindingWarning)
        for block in BLOCKS:
            exec(block, names)
    shown = capsys.readouterr().out
    assert "small_cohort" in shown and "p_death_5y" in shown
    assert not names["completed"]["cnv"].isna().any(axis=None)
    assert len(names["sets"]) == 5 and names["vectors"].shape[0] == 1


def test_a_wide_table_is_compared_in_under_fifteen_lines():
    lines = [line for line in BLOCKS[0].splitlines() if line.strip()]
    assert len(lines) < 15 and "hcat.compare" in BLOCKS[0]
