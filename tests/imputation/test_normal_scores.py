"""Maps of features to normal scores and back."""

import dataclasses

import pytest
import torch

from hcat_core.cohort import Cohort
from hcat_core.imputation.normal_scores import KNOTS, NormalScores
from hcat_core.layout import Layout, Modality

N = 400
NORMAL, SKEWED, COUNT, BINARY, CONSTANT = range(5)


def cohort(cells):
    """Patients with one modality."""
    emb = cells.unsqueeze(1)
    here = torch.ones((len(cells), 1))
    return Cohort(
        patient_ids=tuple(f"P{i}" for i in range(len(cells))),
        layout=Layout((Modality("m", cells.shape[1]),)),
        emb=emb,
        measured=torch.ones_like(emb, dtype=torch.bool),
        present=here.bool(),
        quality=here,
        n_rows=here.int(),
    )


def features(n=N, seed=0):
    z = torch.randn((n, 4), generator=torch.Generator().manual_seed(seed))
    columns = [z[:, 0], z[:, 1].exp(), (z[:, 2] * 2).clamp_min(0).floor(), (z[:, 3] > 1.5).float()]
    return torch.stack([*columns, torch.full((n,), 3.0)], dim=1)


TRAIN = cohort(features())
SCORES = NormalScores.fit(TRAIN)


def test_skewed_and_discrete_features_are_mapped_and_normal_and_two_valued_ones_are_left():
    assert SCORES.feature.tolist() == [SKEWED, COUNT]
    after = SCORES.apply(TRAIN).emb[:, 0]
    for column in (NORMAL, BINARY, CONSTANT):
        assert torch.equal(after[:, column], TRAIN.emb[:, 0, column])


def test_scores_have_mean_0_and_variance_1_in_training_patients_and_keep_the_order():
    after = SCORES.apply(TRAIN).emb[:, 0]
    for column in (SKEWED, COUNT):
        assert abs(float(after[:, column].mean())) < 0.02
        assert abs(float(after[:, column].std()) - 1) < 0.02
        order = TRAIN.emb[:, 0, column].argsort(stable=True)
        assert (after[order, column].diff() >= -1e-5).all()
    equal = TRAIN.emb[:, 0, COUNT] == 0
    assert after[equal, COUNT].unique().numel() == 1


def test_a_skewed_feature_is_what_it_was_after_the_way_there_and_back():
    lower, upper = SCORES.latent_range(TRAIN)
    inside = (lower == upper)[:, SKEWED]
    assert inside.float().mean() > 0.98
    back = SCORES.values(lower.nan_to_num())
    torch.testing.assert_close(back[inside, SKEWED], TRAIN.emb[inside, 0, SKEWED], atol=1e-4, rtol=1e-4)


def test_a_normal_variable_gives_the_values_of_training_patients_as_often_as_they_have_them():
    """Not more zeros than there were, no half counts, and nothing below zero or above the highest."""
    z = torch.randn((20_000, 5), generator=torch.Generator().manual_seed(3))
    drawn = SCORES.values(z)
    values, count = TRAIN.emb[:, 0, COUNT].unique(return_counts=True)
    assert torch.equal(drawn[:, COUNT].unique(), values)
    for value, n in zip(values, count, strict=True):
        assert abs(float((drawn[:, COUNT] == value).float().mean()) - int(n) / N) < 0.012
    low, high = (end.flatten() for end in TRAIN.extremes())
    assert (drawn >= low).all() and (drawn <= high).all()
    for share in (0.1, 0.5, 0.9):
        found, expected = drawn[:, SKEWED].quantile(share), TRAIN.emb[:, 0, SKEWED].quantile(share)
        assert abs(float(found / expected) - 1) < 0.06


def test_values_that_no_training_patient_had_are_between_their_neighbours():
    other = TRAIN.emb.clone()
    other[0, 0, SKEWED], other[1, 0, SKEWED], other[2, 0, COUNT] = 1e6, -5.0, 0.5
    after = SCORES.apply(dataclasses.replace(TRAIN, emb=other)).emb[:, 0]
    all_scores = SCORES.apply(TRAIN).emb[:, 0]
    assert after[0, SKEWED] == all_scores[:, SKEWED].max()
    assert after[1, SKEWED] == all_scores[:, SKEWED].min()
    zero, one = (all_scores[TRAIN.emb[:, 0, COUNT] == value, COUNT][0] for value in (0, 1))
    assert zero <= after[2, COUNT] <= one


def test_the_probability_of_the_higher_of_two_values_is_its_imputed_mean():
    frequency = float(SCORES.frequency[BINARY])
    mean = torch.zeros((4, 5))
    mean[:, BINARY] = torch.tensor([0.3, frequency, -0.2, 1.3])
    found = SCORES.probability(mean)[:, BINARY].tolist()
    assert found == pytest.approx([0.3, frequency, frequency / 4, 1 - (1 - frequency) / 4])


def test_cells_that_were_not_measured_stay_0_and_a_feature_of_few_patients_is_left():
    few = torch.zeros_like(TRAIN.measured)
    few[:15] = True
    partly = dataclasses.replace(TRAIN, measured=few, emb=TRAIN.emb * few)
    assert not len(NormalScores.fit(partly).feature)
    assert (SCORES.apply(partly).emb[15:] == 0).all()


def test_the_state_is_some_forty_knots_a_feature():
    assert SCORES.value.shape == SCORES.quantile.shape == SCORES.score.shape == (2, KNOTS)
