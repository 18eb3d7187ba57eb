from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hcat_builtin.imputers.factor_mixture import make_rows, posterior
from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_core.data.standardisation import Standardiser
from hcat_core.interfaces import FitContext
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.finite_sample import finite_sample_limit
from hcat_core.synth.generator import SynthSpec, generate


def trial(clusters, patients, seed=0, width=48, **spec):
    defaults = {"shared": 4, "private": 0, "visible": 1.0, "shared_variance": 1.0, "noise_variance": 1.0}
    drawn = generate(
        SynthSpec(
            patients=patients + 500,
            widths=dict.fromkeys("abcde", width),
            clusters=clusters,
            separation=0.0 if clusters == 1 else 0.8,
            seed=seed,
            **{**defaults, **spec},
        )
    )
    cohort = to_cohort(drawn).without_targets()
    standardiser = Standardiser.fit(cohort[slice(0, patients)])
    return drawn, standardiser, standardiser.apply(cohort)


def r2(drawn, standardiser, mean, rows):
    truth = torch.from_numpy(drawn.complete)[rows]
    hidden = torch.from_numpy(~drawn.missingness.present)[rows].unsqueeze(-1) & torch.from_numpy(
        drawn.cells
    )
    error = (truth - mean)[hidden].square().sum()
    return float(1 - error / (truth - standardiser.mean)[hidden].square().sum())


@pytest.mark.parametrize(("clusters", "least"), [(1, 0.97), (3, 0.95)])
def test_it_reaches_the_limit_of_what_its_training_patients_allow(clusters, least):
    drawn, standardiser, cohort = trial(clusters, 500, gap_rate=0.02)
    imputer = GaussianImputer(cohort.layout)
    imputer.fit(cohort[slice(0, 400)], cohort[slice(400, 500)], FitContext(0))
    assert len(imputer.model.weight) == clusters
    rows = slice(500, 1000)
    found = standardiser.invert(imputer(cohort[rows]).emb)
    best = finite_sample_limit(drawn, np.arange(400), np.arange(500, 1000)).mean
    share = r2(drawn, standardiser, found, rows) / r2(drawn, standardiser, torch.from_numpy(best), rows)
    assert share > least


def test_its_intervals_have_their_nominal_coverage_without_calibration():
    drawn, standardiser, cohort = trial(1, 300)
    imputer = GaussianImputer(cohort.layout, rank=6, components=1)
    imputer.fit(cohort[slice(0, 300)], cohort[slice(0, 0)], FitContext(0))
    test = cohort[slice(300, 800)]
    found = imputer(test)
    truth = (torch.from_numpy(drawn.complete)[300:] - standardiser.mean) / standardiser.scale
    z = ((truth - found.emb) / found.std.clamp_min(1e-9))[~test.present]
    assert abs(float((z.abs() < 1.645).float().mean()) - 0.9) < 0.015
    assert abs(float((z.abs() < 0.674).float().mean()) - 0.5) < 0.02


def test_rows_of_one_pattern_share_one_factorisation():
    _, _, cohort = trial(1, 300, gap_rate=0.0)
    rows = make_rows(cohort.emb.flatten(1), cohort.measured.flatten(1))
    assert len(rows.masks) <= 2**4
    imputer = GaussianImputer(cohort.layout, rank=3, components=2)
    imputer.fit(cohort, cohort[slice(0, 0)], FitContext(0))
    found = posterior(imputer.model, rows)
    assert found.covariance.shape[0] == len(rows.masks)


def test_patterns_that_differ_in_one_cell_are_distinct():
    measured = torch.rand((200, 37), generator=torch.Generator().manual_seed(0)) < 0.5
    measured[100:] = measured[:100]
    cells = torch.randn((200, 37))
    rows = make_rows(cells, measured)
    assert torch.equal(rows.masks[rows.pattern].bool(), measured)
    assert len(rows.masks) == len(torch.unique(measured, dim=0))
    assert torch.equal(rows.cells, torch.where(measured, cells, 0.0))


def test_the_likelihood_of_a_row_is_that_of_the_dense_gaussian():
    _, _, cohort = trial(1, 200, gap_rate=0.05, width=6)
    imputer = GaussianImputer(cohort.layout, rank=3, components=2)
    imputer.fit(cohort, cohort[slice(0, 0)], FitContext(0))
    model = imputer.model
    # Without the uncertainty of loadings the model is a plain mixture of Gaussians.
    model = type(model)(
        model.weight, model.loading, model.noise, torch.zeros_like(model.spread), model.block
    )
    rows = make_rows(cohort.emb.flatten(1), cohort.measured.flatten(1))
    found = posterior(model, rows).log_likelihood
    for row in range(0, 40):
        seen = rows.masks[rows.pattern[row]].bool()
        parts = []
        for c in range(2):
            w = model.loading[c, seen].double()
            sigma = w[:, 1:] @ w[:, 1:].T + torch.diag(model.noise[seen].double())
            normal = torch.distributions.MultivariateNormal(w[:, 0], sigma)
            parts.append(model.weight[c].double().log() + normal.log_prob(rows.cells[row, seen].double()))
        assert abs(float(found[row] - torch.logsumexp(torch.stack(parts), 0))) < 1e-3


def test_the_likelihood_rises_from_iteration_to_iteration():
    from hcat_builtin.imputers.factor_mixture_fit import fit_factor_mixture

    _, _, cohort = trial(1, 300, gap_rate=0.02)
    block = torch.arange(5).repeat_interleave(48)
    rows = make_rows(cohort.emb.flatten(1), cohort.measured.flatten(1))
    trace = fit_factor_mixture(rows, block, rank=4, clusters=1, iterations=30, seed=0).log_likelihood
    assert trace[-1] > trace[0]
    assert all(later > earlier - 0.5 for earlier, later in zip(trace, trace[1:], strict=False))


def test_draws_of_a_block_vary_as_its_error_does():
    _, _, cohort = trial(1, 400, visible=0.4)
    imputer = GaussianImputer(cohort.layout, rank=6, components=1)
    imputer.fit(cohort[slice(0, 400)], cohort[slice(0, 0)], FitContext(0))
    test = cohort[slice(400, 440)]
    found = imputer(test)
    drawn = found.draw(300, torch.Generator().manual_seed(0))
    missing = (~test.present).nonzero()
    row, column = missing[0].tolist()
    block = drawn[:, row, column]
    assert (block.std(dim=0) / found.std[row, column]).mean().sub(1).abs() < 0.1
    # Cells that share a factor vary together: along its loadings more than independent cells would.
    width = found.std.shape[2]
    loadings = imputer.model.loading[0, column * width : (column + 1) * width, 1:]
    along = torch.linalg.svd(loadings, full_matrices=False).U[:, 0]
    independent = (along * found.std[row, column]).square().sum()
    assert (block @ along).var() > 1.3 * independent


def test_where_other_modalities_predict_nothing_it_imputes_the_mean():
    # Every factor belongs to one modality: nothing can be predicted from the others.
    _, _, cohort = trial(1, 400, shared_variance=1e-9, private=2, private_variance=1.5)
    imputer = GaussianImputer(cohort.layout)
    imputer.fit(cohort[slice(0, 300)], cohort[slice(300, 400)], FitContext(0))
    test = cohort[slice(400, 900)]
    found = imputer(test)
    missing = ~test.present
    assert float(found.emb[missing].square().mean()) < 0.01
    assert abs(float(found.std[missing].square().mean()) - 1) < 0.1
    drawn = found.draw(50, torch.Generator().manual_seed(0))
    assert abs(float(drawn[:, missing].square().mean()) - 1) < 0.15


def test_where_other_modalities_predict_well_its_trust_is_near_one():
    _, _, cohort = trial(1, 400)
    imputer = GaussianImputer(cohort.layout)
    imputer.fit(cohort[slice(0, 300)], cohort[slice(300, 400)], FitContext(0))
    assert (imputer.trust > 0.9).all()


@pytest.fixture(scope="module")
def mixture():
    """A fitted mixture of three clusters, with patients to impute."""
    _, _, cohort = trial(3, 60, width=5, gap_rate=0.1)
    imputer = GaussianImputer(cohort.layout, rank=3, components=3, iterations=5)
    imputer.fit(cohort[slice(0, 50)], cohort[slice(50, 60)], FitContext(0))
    imputer.trust = torch.linspace(0.2, 1, 5)
    return imputer, cohort[slice(60, 66)]


@settings(max_examples=30)
@given(st.lists(st.booleans(), min_size=150, max_size=150))
def test_its_form_for_tracing_gives_the_same_imputation_for_any_pattern(mixture, drawn):
    imputer, patients = mixture
    measured = torch.tensor(drawn).reshape(patients.emb.shape)
    emb = torch.where(patients.measured, patients.emb, 0.3) * measured
    batch = replace(patients, emb=emb, measured=measured, present=measured.any(dim=2))
    expected, found = imputer(batch), imputer.traceable()(batch)
    assert torch.equal(found.filled, expected.filled)
    torch.testing.assert_close(found.emb, expected.emb, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.std, expected.std, rtol=1e-4, atol=1e-5)
    likelihoods = (one.posterior.log_likelihood for one in (found, expected))
    torch.testing.assert_close(*likelihoods, rtol=1e-5, atol=1e-4)
