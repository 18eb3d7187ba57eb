from dataclasses import replace

import pytest
import torch

from hcat_core.cohort import concatenate
from hcat_core.errors import DataError
from hcat_core.interfaces import FitContext
from hcat_core.recipe.build import build_estimator
from hcat_core.recipe.recipe import load_recipe


@pytest.mark.filterwarnings("error::UserWarning")
def test_it_can_be_fitted_on_one_patient(estimators):
    known = (estimators.train.targets.event >= 0).all(dim=1) & (estimators.train.targets.time > 0).all(
        dim=1
    )
    path, sets = estimators.tables["coxnet"]
    recipe, _ = load_recipe(
        estimators.recipes / path, estimators.catalog, sets=[*sets, "estimator.widest=100"]
    )
    estimator = build_estimator(recipe, estimators.catalog, estimators.cohort.layout)
    estimator.fit(estimators.train[known][slice(0, 1)], estimators.train[slice(0, 0)], FitContext(0))
    assert estimator.predict(estimators.test.without_targets()).event_probability.isfinite().all()


def test_groups_stay_in_one_fold_when_the_penalty_is_chosen(estimators):
    once = estimators.train[slice(0, 60)]
    noise = torch.randn(once.emb.shape, generator=torch.Generator().manual_seed(0)) * once.measured
    twins = concatenate(replace(once, emb=noise), replace(once, emb=noise))
    twins = replace(twins, patient_ids=tuple(map(str, range(120))))
    families = replace(twins, groups=tuple(str(row % 60) for row in range(120)))
    used = []
    for cohort in (twins, families):
        recipe, _ = load_recipe(estimators.recipes / "baselines/coxnet.toml", estimators.catalog)
        estimator = build_estimator(recipe, estimators.catalog, cohort.layout)
        estimator.fit(cohort, cohort[slice(0, 0)], FitContext(0))
        used.append(int((estimator.state["0.weights"] != 0).sum()))
    # A held-out twin of noise that was learned from looks well predicted.
    assert used[1] < used[0]


def test_a_task_without_times_is_an_error(estimators):
    targets = estimators.train.targets
    labels_only = replace(targets, event=torch.full_like(targets.event, -1))
    nobody = estimators.validation[slice(0, 0)]
    with pytest.raises(DataError, match="the task survival has no times"):
        estimators.fitted("coxnet", replace(estimators.train, targets=labels_only), nobody)
