"""The limit for N training patients is the mean under the generator's own prior; no imputer beats it."""

import numpy as np
import pytest

from hcat_core.experiments.compare_imputers.run import run_job
from hcat_core.experiments.compare_imputers.settings import LIMIT, Setting, imputer_job
from hcat_core.synth.finite_sample import finite_sample_limit
from hcat_core.synth.generator import SynthSpec, generate, preset_spec
from hcat_core.synth.oracle import oracle_imputation
from hcat_core.synth.spec import with_interactions

GRID = np.linspace(-4, 4, 81)


def hidden(cohort, rows):
    return ~cohort.missingness.present[rows][:, :, None] & cohort.cells


def r2(cohort, imputed, rows, train):
    mean = np.nanmean(np.where(cohort.measured[train], cohort.complete[train], np.nan), axis=0)
    where, x = hidden(cohort, rows), cohort.complete[rows]
    return 1 - ((x - imputed)[where] ** 2).sum() / ((x - mean)[where] ** 2).sum()


def summed_over_grids(cohort, train, row):
    """Mean and variance of a patient's cells, summed over grids of each cell's weights and the factor."""
    mu, w = np.meshgrid(GRID, GRID, indexing="ij")
    variance = cohort.spec.noise_variance
    total, of_cells = -(GRID**2) / 2, {}
    for m, d in np.argwhere(cohort.cells):
        log_p = (
            -((mu / cohort.spec.separation) ** 2) / 2 - (w / np.sqrt(cohort.spec.shared_variance)) ** 2 / 2
        )
        for i in train[cohort.missingness.present[train, m]]:
            away = cohort.complete[i, m, d] - mu - w * cohort.factors[i, 0]
            log_p = log_p - away**2 / variance / 2
        p = np.exp(log_p - log_p.max())
        p /= p.sum()
        at = mu[..., None] + w[..., None] * GRID  # mean of the cell for each factor
        of_cells[m, d] = [(p[..., None] * at**power).sum(axis=(0, 1)) for power in (1, 2)]
        if cohort.measured[row, m, d]:
            away = cohort.complete[row, m, d] - at
            total = total + np.log((p[..., None] * np.exp(-(away**2) / variance / 2)).sum(axis=(0, 1)))
    share = np.exp(total - total.max())
    share /= share.sum()
    first, second = (np.zeros(cohort.cells.shape) for _ in range(2))
    for place, (one, two) in of_cells.items():
        first[place], second[place] = share @ one, share @ two
    return first, second - first**2 + variance


def test_it_equals_sums_over_every_value_that_weights_and_factor_may_have():
    cohort = generate(
        SynthSpec(
            patients=30, widths={"a": 3, "b": 2}, clusters=1, separation=0.6, shared=1, private=0,
            visible=1.0, shared_variance=0.7, noise_variance=0.3, missing_rate=0.5, gap_rate=0.0,
        )
    )  # fmt: skip
    train, rows = np.arange(6), np.arange(6, 30)
    found = finite_sample_limit(cohort, train, rows, draws=20_000)
    for place, row in enumerate(rows):
        mean, variance = summed_over_grids(cohort, train, row)
        where = hidden(cohort, rows)[place]
        np.testing.assert_allclose(found.mean[place][where], mean[where], atol=0.01)
        np.testing.assert_allclose(found.variance[place][where], variance[where], rtol=0.02)


@pytest.mark.parametrize("mechanism", ["mcar", "mnar"])
@pytest.mark.parametrize("preset", ["linear", "clusters", "nonlinear", "demo"])
def test_it_is_neither_too_bold_nor_too_timid_with_few_patients(preset, mechanism):
    """A truth is on average what was imputed for it, and is in 90 % intervals nine times in ten."""
    products, squares, inside = [], [], []
    for seed in range(3):
        cohort = generate(preset_spec(preset, patients=360, width=24, mechanism=mechanism, seed=seed))
        rows = np.arange(60, 360)
        found = finite_sample_limit(cohort, np.arange(60), rows)
        where = hidden(cohort, rows)
        imputed, truth = found.mean[where], cohort.complete[rows][where]
        products.append((imputed * truth).sum())
        squares.append((imputed**2).sum())
        inside.append((np.abs(truth - imputed) < 1.645 * np.sqrt(found.variance[where])).mean())
    assert abs(sum(products) / sum(squares) - 1) < 0.05
    assert abs(np.mean(inside) - 0.9) < 0.01


@pytest.mark.parametrize("mechanism", ["mcar", "mnar"])
@pytest.mark.parametrize("preset", ["linear", "clusters"])
def test_no_imputer_beats_it_on_average_even_with_sixty_patients(preset, mechanism):
    scores = {}
    for name, table in ((LIMIT, None), ("gaussian", {"use": "gaussian"})):
        for seed in range(3):
            setting = Setting(mechanism, 0.3, seed, preset, patients=60, width=32)
            scores[name, seed] = run_job(imputer_job(name, table, setting)).scores.r2
    ahead = [scores[LIMIT, seed] - scores["gaussian", seed] for seed in range(3)]
    assert np.mean(ahead) > 2 * np.std(ahead, ddof=1) / np.sqrt(len(ahead))


@pytest.mark.parametrize("clusters", [1, 4])
def test_it_rises_with_patients_towards_the_oracle(clusters):
    spec = SynthSpec(
        patients=2400,
        widths=dict.fromkeys("abcde", 40),
        clusters=clusters,
        shared=4,
        private=2,
        gap_rate=0.1,
    )
    cohort = generate(spec)
    rows = np.arange(2000, 2400)
    scores = [
        r2(cohort, finite_sample_limit(cohort, np.arange(n), rows).mean, rows, np.arange(2000))
        for n in (60, 400, 2000)
    ]
    oracle = oracle_imputation(cohort.parameters, cohort.complete[rows], cohort.measured[rows])
    best = r2(cohort, oracle.mean, rows, np.arange(2000))
    assert 0 < scores[0] < scores[1] < scores[2] < best
    assert scores[2] > 0.97 * best


def test_clusters_that_share_loadings_are_refused():
    cohort = generate(with_interactions(SynthSpec(patients=40, widths={"a": 4, "b": 4}, clusters=2)))
    with pytest.raises(ValueError, match="clusters share loadings"):
        finite_sample_limit(cohort, np.arange(20), np.arange(20, 40))
