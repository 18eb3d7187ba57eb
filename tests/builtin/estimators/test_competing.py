"""Estimators of an event that another event can forestall: the cumulative incidence, against the truth."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_builtin.estimators.coxnet import CoxnetEstimator
from hcat_builtin.estimators.evidence import EvidenceEstimator
from hcat_builtin.estimators.hist_gradient_boosting import GradientBoostingEstimator
from hcat_builtin.estimators.late_fusion import LateFusionEstimator
from hcat_builtin.estimators.logistic import LogisticEstimator
from hcat_builtin.estimators.random_forest import RandomForestEstimator
from hcat_builtin.estimators.stack import StackEstimator
from hcat_builtin.estimators.survival_forest import SurvivalForestEstimator
from hcat_core.cohort import Targets
from hcat_core.data.outcomes import derive_labels, with_competing_events
from hcat_core.interfaces import FitContext
from hcat_core.layout import Layout, Task
from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.survival import aalen_johansen, causes
from hcat_core.testing.cohorts import random_cohort

N, HORIZON = 1500, 730.0
TASKS = (
    Task("survival", 1000.0, "death", times=("td", "d")),
    Task("recurrence", HORIZON, "recurrence", competing="survival", times=("tr", "r")),
    Task("recurrence_net", HORIZON, "recurrence_net", times=("tr", "r")),
)


def rates(x):
    """Rates a day of recurrence and of death, which both rise with x."""
    return 0.0006 * np.exp(0.7 * x), 0.0008 * np.exp(0.7 * x)


def incidence(x, day=HORIZON):
    """P(recurrence by a day, before death), in closed form."""
    event, death = rates(x)
    return event / (event + death) * (1 - np.exp(-(event + death) * day))


def cohort_of(seed):
    """Patients whose risk is the first cell of the first modality; some leave early."""
    cohort = random_cohort(N, gaps=0.0, seed=seed)
    rng = np.random.default_rng(seed)
    x = cohort.emb[:, 0, 0].double().numpy()
    recurrence, death = (rng.exponential(1 / rate) for rate in rates(x))
    leaves = rng.uniform(100, 2500, N)
    until_death, until = np.minimum(death, leaves), np.minimum.reduce([recurrence, death, leaves])
    died, recurred = (death <= leaves).astype(np.int8), (recurrence <= until).astype(np.int8)
    competing = with_competing_events(until, recurred, until_death, died)
    times = [(until_death, died), competing, (until, recurred)]
    labels = [derive_labels(*one, task.horizon_days) for one, task in zip(times, TASKS, strict=True)]
    targets = Targets(
        torch.from_numpy(np.stack(labels, axis=1)),
        torch.from_numpy(np.stack([time for time, _ in times], axis=1)).float(),
        torch.from_numpy(np.stack([event for _, event in times], axis=1)).to(torch.int8),
    )
    return x, replace(cohort, layout=Layout(cohort.layout.modalities, TASKS), targets=targets)


MADE = {
    "coxnet": lambda layout: CoxnetEstimator(layout),
    "evidence": lambda layout: EvidenceEstimator(layout, trees=50),
    "survival_forest": lambda layout: SurvivalForestEstimator(layout, trees=100, leaf=25),
    "logistic": lambda layout: LogisticEstimator(layout, inverse_penalty=1.0),
    "random_forest": lambda layout: RandomForestEstimator(layout, trees=100, leaf=25),
    "hist_gradient_boosting": lambda layout: GradientBoostingEstimator(layout),
    "stack": lambda layout: StackEstimator(layout, members=[CoxnetEstimator(layout)]),
    "late_fusion": lambda layout: LateFusionEstimator(layout, model=CoxnetEstimator(layout)),
}


@pytest.mark.parametrize("name", MADE)
def test_the_probability_is_the_cumulative_incidence_and_the_net_one_is_another_task(name):
    """1,500 patients, seeds 1 and 2: the mean is Aalen and Johansen's of those who were fitted on."""
    _, train = cohort_of(1)
    x, test = cohort_of(2)
    estimator = MADE[name](train.layout)
    estimator.fit(train, train[slice(0, 0)], FitContext(0))
    predicted = estimator.predict(test.without_targets())
    p, net = predicted.probability[:, 1], predicted.probability[:, 2]
    truth = incidence(x)
    _, time, cause = causes(train.targets, 1)
    assert p.mean() == pytest.approx(aalen_johansen(time, cause, np.array([HORIZON]))[0], abs=0.015)
    assert net.mean() > p.mean() + 0.05  # deaths as censorings: the chance in a world without deaths
    assert np.corrcoef(p, truth)[0, 1] > 0.7
    assert np.allclose(predicted.curves[:, 1, -1], p)
    if name in ("coxnet", "evidence"):  # before recalibration, the others may be too sure, or not enough
        happened = (np.random.default_rng(0).random((40, N)) < truth).astype(int)
        slope = calibration(np.tile(p, 40), happened.ravel()).calibration_slope
        assert slope == pytest.approx(1, abs=0.25)
