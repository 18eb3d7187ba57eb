import numpy as np
import pytest

from hcat_core.synth.generator import SynthSpec, generate, preset_spec

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
    with pytest.raises(ValueError, match="demo, linear, clusters"):
        preset_spec("large")
