import numpy as np
import pytest

from hcat_core.synth.generator import SynthSpec, generate, preset_spec, with_interactions

WIDTHS = {"clinical": 6, "semantic": 10, "temporal": 8, "pathological": 12, "spatial": 16}


def small(**arguments):
    return generate(SynthSpec(**{"patients": 3000, "widths": WIDTHS, **arguments}))


def auc(score, label):
    order = np.argsort(np.argsort(score))
    events, free = label.sum(), (~label).sum()
    return (order[label].sum() - events * (events - 1) / 2) / (events * free)


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar"])
@pytest.mark.parametrize("rate", [0.1, 0.3, 0.6])
def test_the_share_of_missing_blocks_is_the_rate_and_the_first_modality_is_never_missing(mechanism, rate):
    present = small(mechanism=mechanism, missing_rate=rate).missingness.present
    assert present[:, 0].all()
    assert abs((~present[:, 1:]).mean() - rate) < 0.02


@pytest.mark.parametrize(
    ("mechanism", "follows_first", "follows_itself"),
    [("mcar", False, False), ("mar", True, False), ("mnar", False, True)],
)
def test_missing_blocks_depend_on_what_the_mechanism_states(mechanism, follows_first, follows_itself):
    # No factors: the blocks are independent, so that one score says nothing of another.
    cohort = small(mechanism=mechanism, clusters=1, separation=0.0, shared_variance=1e-9)
    missing = ~cohort.missingness.present[:, 1:]
    scores = np.einsum("nmd,md->nm", cohort.complete, cohort.missingness.direction)
    first = np.array([auc(scores[:, 0], missing[:, c]) for c in range(4)])
    own = np.array([auc(scores[:, c + 1], missing[:, c]) for c in range(4)])
    assert ((first > 0.7).all(), (own > 0.7).all()) == (follows_first, follows_itself)
    assert follows_first or (abs(first - 0.5) < 0.06).all()
    assert follows_itself or (abs(own - 0.5) < 0.06).all()


def test_another_mechanism_has_the_same_patients():
    one, other = small(mechanism="mcar"), small(mechanism="mnar")
    assert np.array_equal(one.complete, other.complete)
    assert np.array_equal(one.outcomes.time, other.outcomes.time)


def test_the_reference_presets_have_their_documented_parameters():
    for preset, clusters, variance in (("linear", 1, 2.0), ("clusters", 4, 2.49)):
        cohort = generate(preset_spec(preset, patients=500, width=100))
        p = cohort.parameters
        assert p.loadings.shape == (clusters, 5, 100, 16)
        assert abs(p.loadings.var() - 1 / 16) < 0.002
        assert (p.noise == 1).all()
        assert abs(p.means.std() - (0.0 if clusters == 1 else 0.7)) < 0.03
        assert abs(cohort.complete.var() - variance) < 0.1
        assert not cohort.missingness.gaps.any()


def test_gaps_have_the_given_rate_and_never_cover_a_whole_block():
    missing = small(gap_rate=0.1).missingness
    assert not missing.gaps[:, :, 0].any()
    assert not missing.gaps[~missing.present].any()


def test_outcomes_have_the_shares_of_a_registry():
    outcomes = generate(preset_spec("demo", patients=4000, width=8)).outcomes
    unknown = (outcomes.labels == -1).mean(axis=0)
    events = (outcomes.labels == 1).sum(axis=0) / (outcomes.labels >= 0).sum(axis=0)
    assert 0.3 < unknown[0] < 0.5
    assert ((events > 0.25) & (events < 0.55)).all()


def test_a_patient_censored_before_the_horizon_is_unknown():
    outcomes = small().outcomes
    for column, horizon in enumerate((1826, 730)):
        early = (outcomes.event[:, column] == 0) & (outcomes.time[:, column] < horizon)
        assert early.any()
        assert (outcomes.labels[early, column] == -1).all()


def test_death_ends_the_follow_up_for_recurrence():
    outcomes = small().outcomes
    assert (outcomes.time[:, 1] <= outcomes.time[:, 0]).all()


def test_the_true_probability_is_the_share_of_events():
    outcomes = small(patients=20_000).outcomes
    # Deaths are latent times of their own: compare where follow-up decides nothing.
    p = outcomes.probability[:, 0]
    known = outcomes.labels[:, 0] >= 0
    high, low = known & (p > 0.8), known & (p < 0.1)
    assert outcomes.labels[high, 0].mean() > 0.8
    assert outcomes.labels[low, 0].mean() < 0.2


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="demo, linear, clusters, nonlinear"):
        preset_spec("large")


def test_modalities_of_the_nonlinear_preset_are_not_linear_in_the_factors():
    cohort = generate(preset_spec("nonlinear", patients=4000, width=40))
    signal = cohort.parameters.curve.cells(cohort.factors).reshape(4000, -1)
    assert abs(signal.var(axis=0).mean() - 0.55) < 0.08
    assert abs(cohort.complete.var(axis=0).mean() - 1) < 0.1
    design = np.c_[np.ones(4000), cohort.factors]
    line = design @ np.linalg.lstsq(design, signal, rcond=None)[0]
    assert 0.2 < line.var(axis=0).sum() / signal.var(axis=0).sum() < 0.6


@pytest.mark.parametrize("preset", ["demo", "linear", "clusters", "nonlinear"])
def test_interactions_are_products_of_private_factors_of_different_modalities(preset):
    cohort = generate(with_interactions(preset_spec(preset, patients=20_000, width=4)))
    shared, private = np.split(cohort.factors, [cohort.spec.shared], axis=1)
    for risk in cohort.outcomes.risk.T:
        alone = np.corrcoef(np.c_[risk, shared, private].T)[0, 1:]
        assert np.abs(alone[: shared.shape[1]]).max() < 0.2  # weak main effects
        assert np.abs(alone[shared.shape[1] :]).max() < 0.03  # none of private factors
        pairs = np.stack([private[:, a] * private[:, b] for a in range(5) for b in range(a)], axis=1)
        design = np.c_[np.ones(20_000), pairs]
        explained = design @ np.linalg.lstsq(design, risk, rcond=None)[0]
        assert explained.var() > 0.95 * risk.var()


def test_a_private_factor_acts_on_one_modality_and_alike_in_every_cluster():
    spec = with_interactions(preset_spec("demo", width=30))
    loadings = generate(spec).parameters.loadings[..., spec.shared :]
    for modality in range(5):
        assert np.flatnonzero(np.abs(loadings[0, modality]).sum(axis=0)).tolist() == [modality]
    assert (loadings == loadings[:1]).all()


def test_interactions_without_private_factors_are_refused():
    with pytest.raises(ValueError, match="with_interactions"):
        small(outcome="interactions", private=0)


def test_noise_blocks_have_their_share_and_the_scale_of_the_cells_and_a_low_quality():
    cohort, sound = small(noise_blocks=0.4), small()
    noise, present = cohort.recorded.noise, cohort.missingness.present
    assert (cohort.complete == sound.complete).all() and (present == sound.missingness.present).all()
    assert not noise[~present].any()
    assert abs(noise[present].mean() - 0.4) < 0.02
    assert (cohort.recorded.cells[~noise] == cohort.complete[~noise]).all()
    for column, width in enumerate(WIDTHS.values()):
        written = cohort.recorded.cells[noise[:, column], column, :width]
        true = cohort.complete[noise[:, column], column, :width]
        np.testing.assert_allclose(written.mean(axis=0), true.mean(axis=0), atol=0.15)
        np.testing.assert_allclose(written.std(axis=0), true.std(axis=0), rtol=0.12)
        assert np.abs(np.corrcoef(written.T, true.T)[:width, width:]).max() < 0.15
    quality = cohort.recorded.quality
    assert quality[noise].max() <= 0.3 and quality[present & ~noise].min() >= 0.7
    assert (quality[~present] == 0).all()
