import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_builtin.heads.binary import BinaryHead
from hcat_builtin.losses.binary import BinaryCrossEntropy
from hcat_core.testing.cohorts import random_cohort


def test_probabilities_are_corrected_for_the_class_weight(outputs):
    cohort = random_cohort(4000)
    torch.manual_seed(0)
    cohort.targets.labels[:, 0] = (torch.rand(4000) < 0.1).to(torch.int8)
    made = outputs(cohort)
    head = made.heads["survival"]
    # The constant logit that minimises the weighted loss predicts the observed rate.
    logit = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([logit], max_iter=50)
    loss = BinaryCrossEntropy(cohort.layout, head="survival")

    def closure():
        optimiser.zero_grad()
        value = loss(outputs(cohort, logit.expand(4000)), cohort)
        value.backward()
        return value

    optimiser.step(closure)
    rate = (cohort.targets.labels[:, 0] == 1).float().mean()
    predicted = head.predict(logit.detach(), (1826.0,)).event_probability
    assert predicted.item() == pytest.approx(rate.item(), abs=0.003)


def test_only_the_horizon_of_the_task_can_be_predicted():
    head = BinaryHead(random_cohort(4).layout, "recurrence", 8)
    with pytest.raises(ValueError, match="730 days only"):
        head.predict(torch.zeros(2), (1826.0,))


def test_inverse_probability_weights_correct_for_labels_missing_by_censoring(outputs):
    """Labels are known of everyone with an early event, and only of those event-free who stayed."""
    rng = np.random.default_rng(0)
    n, horizon = 4000, 1826.0
    event_time, lost = rng.exponential(3000, n), rng.exponential(2500, n)
    time = np.minimum(event_time, lost)
    label = np.where(event_time <= np.minimum(lost, horizon), 1, np.where(time >= horizon, 0, -1))
    cohort = random_cohort(n)
    cohort.targets.labels[:, 0] = torch.from_numpy(label).to(torch.int8)
    cohort.targets.time[:, 0] = torch.from_numpy(time).float()
    cohort.targets.event[:, 0] = torch.from_numpy(event_time <= lost).to(torch.int8)
    truth = 1 - math.exp(-horizon / 3000)

    def rate(ipcw, loss_class=BinaryCrossEntropy):
        head = BinaryHead(cohort.layout, "survival", 4, balance=False, ipcw=ipcw)
        head.prepare(cohort)
        logit = torch.zeros(1, requires_grad=True)
        optimiser = torch.optim.LBFGS([logit], max_iter=50)
        loss = loss_class(cohort.layout, head="survival")

        def closure():
            optimiser.zero_grad()
            made = replace(outputs(cohort, logit.expand(n)), heads={"survival": head})
            value = loss(made, cohort)
            value.backward()
            return value

        optimiser.step(closure)
        return torch.sigmoid(logit).item()

    assert rate(False) > truth + 0.1
    assert rate(True) == pytest.approx(truth, abs=0.03)


def test_without_times_every_known_outcome_has_the_weight_1():
    cohort = random_cohort(20)
    cohort.targets.event.fill_(-1)
    head = BinaryHead(cohort.layout, "survival", 4)
    head.prepare(cohort)
    assert head.ipcw and (head.weights(cohort.targets) == 1).all()
