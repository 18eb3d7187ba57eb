"""Two horizons of one event, through fitting and recalibration: one curve for every patient."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.data.outcomes import derive_labels
from hcat_core.layout import Task
from hcat_core.training import fitting

TIMES = ("days", "dead")
TASKS = (Task("death_5y", 1826.0, "death", times=TIMES), Task("death_3y", 1096.0, "death", times=TIMES))


def with_two_horizons(cohort):
    """The same patients, whose survival is asked for at two horizons."""
    time, event = cohort.targets.time[:, :1].expand(-1, 2), cohort.targets.event[:, :1].expand(-1, 2)
    labels = [derive_labels(time[:, 0].numpy(), event[:, 0].numpy(), task.horizon_days) for task in TASKS]
    targets = replace(
        cohort.targets, time=time, event=event, labels=torch.from_numpy(np.stack(labels, axis=1))
    )
    return replace(cohort, layout=replace(cohort.layout, tasks=TASKS), targets=targets)


@pytest.mark.parametrize("name", ["survival_forest", "logistic", "coxnet"])
def test_no_one_is_likelier_to_die_by_three_years_than_by_five(name, estimators, monkeypatch):
    train, test = with_two_horizons(estimators.train), with_two_horizons(estimators.test)
    found, _, _ = estimators.fitted(name, train, train[slice(0, 0)])
    predicted = found.predict(test)
    for p in (predicted.probability, found.predict_once(test)):
        assert (p[:, 1] <= p[:, 0] + 1e-9).all()
    assert (predicted.probability[:, 1] < predicted.probability[:, 0] - 0.01).mean() > 0.5
    monkeypatch.setattr(fitting, "on_one_curve", lambda prediction, tasks: prediction)
    apart = found.predict(test).probability
    if name == "logistic":  # one regression a horizon; the forest and Cox's regression have one curve
        assert (apart[:, 1] > apart[:, 0]).any()
