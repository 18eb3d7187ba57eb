import pytest
import torch

from hcat_builtin.imputers.factor_mixture_choice import PROBE, SHORT, Judge, Search, hidden_block_crps
from hcat_builtin.imputers.factor_mixture_fit import TrainingRows, everyone, principal_directions
from hcat_builtin.imputers.gaussian import GaussianImputer
from hcat_core.imputation import pretraining
from hcat_core.interfaces import FitContext

TRAIN, VALIDATION, TEST = slice(0, 240), slice(240, 340), slice(340, 640)


def fitted(cohort, validation=VALIDATION, **settings):
    imputer = GaussianImputer(cohort.layout, **settings)
    imputer.fit(cohort[TRAIN], cohort[validation], FitContext(0))
    return imputer


@pytest.mark.parametrize("clusters", [1, 3])
def test_the_choice_is_as_good_as_the_best_of_all_candidates(clusters, draw_cohort):
    cohort = draw_cohort(clusters=clusters)
    chosen = fitted(cohort)
    found = pretraining.hidden_block_crps(chosen, cohort[TEST])
    others = {
        (number, rank): pretraining.hidden_block_crps(
            fitted(cohort, components=number, rank=rank), cohort[TEST]
        )
        for number in (1, 2, 3, 4)
        for rank in (4, 8, 16)
    }
    assert len(chosen.model.weight) == clusters
    assert found < 1.004 * min(others.values())
    # The candidates differ by far more than that: a careless choice would show.
    assert max(others.values()) > 1.05 * min(others.values())


def test_a_rank_that_is_needed_is_found(draw_cohort):
    cohort = draw_cohort(clusters=1, shared=30, width=96)
    chosen = fitted(cohort)
    least = pretraining.hidden_block_crps(fitted(cohort, components=1, rank=16), cohort[TEST])
    assert chosen.model.loading.shape[2] - 1 > 16
    assert pretraining.hidden_block_crps(chosen, cohort[TEST]) < 0.99 * least


def test_close_candidates_are_compared_after_equally_many_iterations(draw_cohort):
    cohort = draw_cohort(clusters=1)
    imputer = GaussianImputer(cohort.layout)
    training = TrainingRows.of(imputer._rows(cohort[TRAIN]), imputer.block)
    judge = Judge.of(imputer._rows(cohort[VALIDATION]), imputer.block)
    found = []
    search = Search(training, judge, 100, 0, lambda message: None)
    start = principal_directions(training, everyone(training), 16, 0)
    for rank in (2, 8, 12):
        found = search._compare(found, search._probe(start, rank))
    far, *close = found
    assert len(far.fit.log_likelihood) == PROBE
    assert [len(candidate.fit.log_likelihood) for candidate in close] == [SHORT, SHORT]


@pytest.mark.parametrize("gap_rate", [0.0, 0.05])
def test_candidates_are_scored_as_imputers_are(gap_rate, draw_cohort):
    cohort = draw_cohort(gap_rate=gap_rate)
    imputer = fitted(cohort, slice(0, 0), rank=5, components=2)
    judge = Judge.of(imputer._rows(cohort[VALIDATION]), imputer.block)
    expected = pretraining.hidden_block_crps(imputer, cohort[VALIDATION])
    assert hidden_block_crps(imputer.model, judge) == pytest.approx(expected, rel=1e-5)


def test_where_no_patient_has_two_modalities_the_first_candidate_is_fitted(draw_cohort):
    cohort = draw_cohort(clusters=1)
    alone = torch.ones_like(cohort.present)
    alone[torch.arange(len(cohort)), torch.arange(len(cohort)) % 4] = False
    imputer = GaussianImputer(cohort.layout)
    imputer.fit(cohort.hide(alone)[TRAIN], cohort.hide(alone)[VALIDATION], FitContext(0))
    assert imputer.model.loading.shape[0] == 1
    assert torch.isfinite(imputer(cohort[TEST]).emb).all()


def test_without_validation_patients_every_training_patient_is_used_in_the_end(draw_cohort):
    cohort = draw_cohort(clusters=1)
    chosen = fitted(cohort, slice(0, 0))
    rank = chosen.model.loading.shape[2] - 1
    of_all = fitted(cohort, slice(0, 0), rank=rank, components=1)
    found = pretraining.hidden_block_crps(chosen, cohort[TEST])
    assert found == pytest.approx(pretraining.hidden_block_crps(of_all, cohort[TEST]), rel=1e-3)


def test_the_same_seed_gives_the_same_numbers(draw_cohort):
    cohort = draw_cohort(gap_rate=0.02)
    first, second = (fitted(cohort).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_most_iterations_are_kept_to(draw_cohort):
    cohort = draw_cohort()
    few = fitted(cohort, iterations=1)
    many = fitted(cohort)
    crps = [pretraining.hidden_block_crps(i, cohort[TEST]) for i in (few, many)]
    assert torch.isfinite(torch.tensor(crps)).all()
    assert crps[1] < crps[0]
