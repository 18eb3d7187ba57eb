"""Outer folds take no part in what inner folds choose."""

from dataclasses import replace

import torch

from hcat_core.experiments.tune.nested_folds import SearchPlan, nested_folds, nested_job


def test_inner_folds_hold_no_patient_of_their_outer_fold(cohort):
    *outer, final = nested_folds(cohort, SearchPlan(folds=3, repeats=2, inner_folds=2))
    assert len(outer) == 6 and final.outer is None
    for search in outer:
        assert not set(search.outer.test.tolist()) & set(search.outer.rest.tolist())
        for fold in search.inner:
            seen = [*fold.rest.tolist(), *fold.test.tolist()]
            assert sorted(seen) == search.outer.rest.tolist()
    for fold in final.inner:
        assert len(fold.rest) + len(fold.test) == len(cohort)


def test_groups_stay_together_in_inner_folds(cohort):
    grouped = replace(cohort, groups=tuple(f"site {number % 12}" for number in range(len(cohort))))
    for search in nested_folds(grouped, SearchPlan(folds=3, inner_folds=2)):
        for fold in search.inner:
            sides = [{grouped.groups[row] for row in rows.tolist()} for rows in (fold.rest, fold.test)]
            assert not sides[0] & sides[1]


def test_jobs_of_the_same_test_patients_and_other_training_patients_have_results_of_their_own(
    cohort, recipe
):
    fold = nested_folds(cohort, SearchPlan(folds=2, inner_folds=2))[0].inner[0]
    fewer = replace(fold, rest=fold.rest[1:])
    assert nested_job("a", recipe, fold, "d").key != nested_job("a", recipe, fewer, "d").key
    same = replace(fold, rest=fold.rest.clone(), test=torch.clone(fold.test))
    assert nested_job("a", recipe, fold, "d").key == nested_job("b", recipe, same, "d").key
