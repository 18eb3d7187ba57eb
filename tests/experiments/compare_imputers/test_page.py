"""The page of a comparison of imputers: means with intervals over seeds, and why blocks were hidden."""

from dataclasses import replace

import numpy as np
import pytest

from hcat_core.experiments.compare_imputers import page as pages
from hcat_core.experiments.compare_imputers.results import BlockScores, ImputationScores, ImputerResult
from hcat_core.experiments.compare_imputers.settings import Setting
from hcat_core.experiments.compare_imputers.table import Estimate, summarise
from hcat_core.experiments.compare_imputers.verdict import imputer_verdict
from hcat_core.report import forest_plot

SCORES = ImputationScores(
    r2=0.3, crps=0.5, coverage_90=0.9, coverage_50=0.5, width_90=3.0, hidden_cells=10, by_modality={},
    brier_binary=None, by_pattern={}, energy_distance=None,
)  # fmt: skip
R2 = (0.30, 0.36, 0.33)


def page_of(seeds, monkeypatch):
    """Of two imputers; the R2 of ``blood`` is that of ``R2`` by seed, less 0.1 in the second setting."""

    def draw(name, paint, *, label, **size):
        return f'<svg role="img" aria-label="{label}"></svg>'

    monkeypatch.setattr(forest_plot, "draw", draw)
    results = [
        ImputerResult(
            name,
            Setting(mechanism, 0.3, seed),
            scores=replace(
                SCORES,
                crps=crps + 0.01 * seed,
                by_modality={"blood": BlockScores(R2[seed] - less, 0.5, 0.97 + 0.03 * (seed > 0))},
            ),
        )
        for seed in range(seeds)
        for mechanism, less in (("mcar", 0.0), ("mnar", 0.1))
        for name, crps in (("gaussian", 0.4), ("mean", 0.6))
    ]
    return pages.imputer_page(results, summarise(results), imputer_verdict(results), "a cohort", "today")


def test_scores_by_modality_have_intervals_over_seeds(monkeypatch):
    page = page_of(3, monkeypatch)
    one = Estimate.of([np.mean([value, value - 0.1]) for value in R2])
    assert f'{one.mean:.3f} <span class="soft">({one.low:.2f} to {one.high:.2f})' in page
    assert "to 100 %)" in page and "to 104 %)" not in page  # a share ends at 1
    assert "In brackets: 95 % intervals over seeds" in page and "±" not in page


def test_one_seed_has_no_intervals(monkeypatch):
    page = page_of(1, monkeypatch)
    assert "In brackets" not in page and '<span class="soft">(' not in page


def test_the_figure_says_why_blocks_were_hidden(monkeypatch):
    page = page_of(2, monkeypatch)
    assert "by chance (MCAR) and depending on their own values (MNAR)" in page


@pytest.mark.parametrize("seeds", [1, 2])
def test_without_a_common_combination_of_modalities_the_page_says_so(seeds, monkeypatch):
    assert "No combination of modalities is shared by 30 scored patients" in page_of(seeds, monkeypatch)
