"""The interval of an ensemble's probability."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from hcat_core.cohort import Targets
from hcat_core.interfaces import Prediction
from hcat_core.metrics.recalibration import sigmoid
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.oracle import expected_event_probability, factor_posterior
from hcat_core.training.context import TrainingContext
from hcat_core.training.ensemble_interval import IntervalParts, jackknife_variance
from hcat_core.training.fitting import fit_estimator, neural_parts_of
from hcat_core.training.inference import MemberPredictions
from hcat_core.training.model_misfit import Misfit

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def members(logits, size=1.0):
    """Members from logits (K, S, N) of completed patients; at the mean they are their average."""
    found = []
    for z in logits:
        p = torch.from_numpy(sigmoid(z.mean(axis=0))).unsqueeze(1)
        found.append(MemberPredictions(Prediction(p), sigmoid(z)[..., None], np.full(z.shape, size)))
    return found


def combine_members(members, misfit=None):
    return IntervalParts.of(members, misfit).prediction()


def width(prediction):
    return (prediction.high - prediction.low)[:, 0]


def half_on_the_logit(prediction):
    ends = np.log(prediction.high / (1 - prediction.high)) - np.log(prediction.low / (1 - prediction.low))
    return ends[:, 0] / 2


def test_members_and_draws_that_agree_leave_no_interval():
    prediction = combine_members(members(np.full((5, 4, 3), 0.3)))
    assert prediction.probability[:, 0] == pytest.approx(np.full(3, sigmoid(np.array(0.3))))
    assert width(prediction) == pytest.approx(0, abs=1e-9)


def test_it_is_wider_where_members_disagree_and_where_draws_do():
    rng = np.random.default_rng(0)
    agree = np.zeros((5, 16, 1))
    of_members = agree + rng.standard_normal((5, 1, 1))
    of_draws = agree + rng.standard_normal((1, 16, 1))
    both = of_members + of_draws
    narrow, one, two, wide = (
        float(width(combine_members(members(z)))[0]) for z in (agree, of_members, of_draws, both)
    )
    assert narrow < min(one, two) and wide > max(one, two)


def test_its_variance_is_rubins_and_the_misfit():
    rng = np.random.default_rng(1)
    z = 0.1 * rng.standard_normal((5, 1, 1)) + 0.2 * rng.standard_normal((1, 8, 1))
    within = jackknife_variance(z.mean(axis=1))[0]
    between = (1 + 1 / 8) * z.mean(axis=0)[:, 0].var(ddof=1)
    for misfit, extra in ((None, 0.0), (Misfit((0.01,), (0.02,)), 0.01 * 1.5 + 0.02 * 1.5**2)):
        total = within + between + extra
        freedom = total**2 / (within**2 / 4 + between**2 / 7)
        half = half_on_the_logit(combine_members(members(z, size=1.5), misfit))
        assert half[0] == pytest.approx(student.ppf(0.95, freedom) * np.sqrt(total), rel=1e-4)


def test_few_members_make_it_wider_than_a_normal_quantile():
    # 5 estimates, each without one of 5 groups: the truth, 0, is covered nine times in ten.
    rng = np.random.default_rng(3)
    groups = rng.standard_normal((5, 4000))
    z = (groups.sum(axis=0) - groups) / 4
    prediction = combine_members(members(np.repeat(z[:, None], 2, axis=1)))
    covered = (prediction.low[:, 0] <= 0.5) & (prediction.high[:, 0] >= 0.5)
    assert covered.mean() == pytest.approx(0.9, abs=0.02)


def test_the_jackknife_finds_the_variance_of_a_mean():
    # Each of 5 estimates is the mean of four fifths of 200 values.
    rng = np.random.default_rng(2)
    found = []
    for _ in range(300):
        groups = rng.standard_normal((5, 40)).mean(axis=1)
        found.append(jackknife_variance((groups.sum() - groups) / 4))
    assert np.mean(found) == pytest.approx(1 / 200, rel=0.1)


def test_one_sample_a_member_gives_no_interval():
    assert combine_members(members(np.zeros((5, 1, 2)))).interval is None


def covered_on(seed):
    """Whether intervals cover P(event | all modalities), by the part left out, and how many are present."""
    sets = [
        "imputer={use='gaussian', rank=16, components=1}",
        "estimator.evidence={use='evidence', pairs=0, trees=0}",
        *("fusion.d_model=8", "fusion.n_heads=2", "fusion.n_global_layers=1", "training.epochs=1"),
    ]
    catalog = load_catalog()
    recipe, _ = load_recipe(RECIPES / "enhanced.toml", catalog, sets=sets)
    spec = replace(preset_spec("linear", patients=1600, width=12, seed=seed), shared=6)
    synthetic = generate(spec)
    labels = np.random.default_rng(seed).random((1600, 2)) < synthetic.outcomes.probability
    unknown = torch.full(labels.shape, torch.nan), torch.full(labels.shape, -1, dtype=torch.int8)
    targets = Targets(torch.from_numpy(labels.astype(np.int8)), *unknown)
    cohort = replace(to_cohort(synthetic), targets=targets)
    context = TrainingContext(seed, parts=neural_parts_of(recipe, catalog))
    fitted = fit_estimator(recipe, catalog, cohort[:600], cohort[slice(0, 0)], context)
    posterior = factor_posterior(
        synthetic.parameters, synthetic.complete[600:], np.ones((1000, 5, 12), dtype=bool)
    )
    truth = expected_event_probability(synthetic.risk_model, posterior, seed=seed)
    parts = fitted.estimator.interval_parts(cohort[600:].without_targets())
    covered = {}
    for left_out in ("nothing", "within", "between", "misfit"):
        less = parts if left_out == "nothing" else replace(parts, **{left_out: np.zeros((1000, 2))})
        predicted = fitted.recalibration.apply(less.prediction())
        covered[left_out] = (predicted.low <= truth) & (truth <= predicted.high)
    return covered, cohort.present[600:].sum(dim=1).numpy()


@pytest.mark.slow
def test_it_covers_the_true_probability_nine_times_in_ten_and_needs_each_of_its_parts():
    found, counts = zip(*[covered_on(seed) for seed in range(2)], strict=True)
    count = np.concatenate(counts)
    covered = {part: np.concatenate([one[part] for one in found]) for part in found[0]}
    assert 0.85 <= covered["nothing"].mean() <= 0.95
    for few, many in ((1, 2), (3, 3), (4, 4), (5, 5)):
        assert 0.80 <= covered["nothing"][(few <= count) & (count <= many)].mean() <= 0.97
    for part in ("within", "between", "misfit"):
        assert covered[part].mean() < 0.85
    # Most of the uncertainty: what is missing, where little is present; the model, where nothing is.
    assert covered["between"][count <= 2].mean() < 0.7
    assert covered["within"][count == 5].mean() < 0.75
