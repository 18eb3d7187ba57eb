"""Predicting with the neural model: samples, intervals, and one patient's independence of the others."""

import numpy as np
import pytest
import torch
from torch import nn

from hcat_core.interfaces import Fused, Imputation, Prediction
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.testing.cohorts import random_cohort
from hcat_core.training.inference import predict_cohort, predict_completed
from hcat_core.training.model import HcatModel


class EncoderFusion(nn.Module):
    """A transformer layer whose dropout is all the randomness there is."""

    def __init__(self):
        super().__init__()
        self.width = 8
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True)

    def forward(self, batch, imputation):
        tokens = self.layer(batch.emb)
        return Fused(pooled=tokens.mean(dim=1), tokens=tokens)


class SumHead:
    def __call__(self, fused):
        return fused.pooled[:, 0]

    def predict(self, raw, horizons):
        return Prediction(torch.sigmoid(raw).unsqueeze(1).expand(-1, len(horizons)))


def encoder_model(layout):
    torch.manual_seed(0)
    return HcatModel(
        layout,
        lambda batch: Imputation(batch.emb, (~batch.measured).float(), ~batch.measured),
        EncoderFusion(),
        {"survival": SumHead()},
        {"survival": "survival"},
    )


def encoder_predicts(mc_samples, cohort=None, model=None):
    cohort = random_cohort(6, missing=0, gaps=0) if cohort is None else cohort
    model = encoder_model(cohort.layout) if model is None else model
    return predict_cohort(model, cohort, mc_samples=mc_samples, seed=0, device=torch.device("cpu"))


def test_dropout_within_a_transformer_layer_is_sampled():
    predicted = encoder_predicts(mc_samples=8)
    assert (predicted.high[:, 0] - predicted.low[:, 0] > 0.01).all()


@pytest.mark.parametrize("samples", [0, 1])
def test_without_samples_there_is_no_interval_rather_than_one_of_no_width(samples):
    predicted = encoder_predicts(mc_samples=samples)
    assert np.isnan(predicted.low).all() and np.isnan(predicted.high).all()
    assert np.isfinite(predicted.probability[:, 0]).all() and predicted.interval is None
    moved = Recalibration((0.4,), (0.6,)).apply(predicted)
    assert moved.interval is None and np.isfinite(moved.probability[:, 0]).all()


def test_a_patients_prediction_does_not_hang_on_who_else_is_asked_about():
    cohort = random_cohort(40, missing=0.4, gaps=0.1)
    model = encoder_model(cohort.layout)
    whole = encoder_predicts(8, cohort, model)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    for rows in (order, order[:7], order[:1]):
        some, same = encoder_predicts(8, cohort[rows], model), whole[rows.numpy()]
        for found, expected in zip(
            (some.probability, some.low, some.high), (same.probability, same.low, same.high), strict=True
        ):
            np.testing.assert_allclose(found[:, 0], expected[:, 0], atol=1e-5)
    # Not because nothing is drawn: another seed says something else.
    other = predict_cohort(model, cohort, mc_samples=8, seed=1, device=torch.device("cpu"))
    assert np.abs(other.probability - whole.probability)[:, 0].max() > 0.01


class SumFusion(nn.Module):
    """The sum of a patient's first cells, without any randomness."""

    width = 1

    def forward(self, batch, imputation):
        total = imputation.emb[:, :, 0].sum(dim=1, keepdim=True)
        return Fused(pooled=total, tokens=total.unsqueeze(1))


def sum_model(layout):
    def impute(batch):
        filled = ~batch.measured & layout.cells
        return Imputation(batch.emb, 0.5 * filled, filled)

    return HcatModel(layout, impute, SumFusion(), {"survival": SumHead()}, {"survival": "survival"})


def logit(p):
    return np.log(p / (1 - p))


def test_the_interval_of_draws_is_that_of_90_percent_of_them():
    """One missing modality, drawn with standard deviation 0.5, is added to the logit."""
    cohort = random_cohort(30, missing=0, gaps=0)
    cohort = cohort.hide(torch.tensor([False, True, False]).expand(30, 3))
    model, cpu = sum_model(cohort.layout), torch.device("cpu")
    found = predict_cohort(model, cohort, mc_samples=3000, seed=0, device=cpu)
    middle = cohort.emb[:, :, 0].sum(dim=1).numpy()
    ends = [(logit(end[:, 0]) - middle) / 0.5 for end in (found.low, found.high)]
    assert np.allclose(ends[0], -1.645, atol=0.12) and np.allclose(ends[1], 1.645, atol=0.12)


def test_each_draw_of_what_is_missing_is_a_prediction():
    cohort = random_cohort(30, missing=0, gaps=0)
    hidden = cohort.hide(torch.tensor([False, True, False]).expand(30, 3))
    model, cpu = sum_model(cohort.layout), torch.device("cpu")
    found = predict_completed(model, hidden, samples=2000, seed=0, device=cpu)
    spread = logit(found.completed[:, :, 0]).std(axis=0)
    assert np.allclose(spread, 0.5, atol=0.05)
    complete = predict_completed(model, cohort, samples=5, seed=0, device=cpu)
    assert np.ptp(complete.completed[:, :, 0], axis=0).max() == 0


def test_a_draw_is_the_same_for_a_patient_alone_and_among_others():
    cohort = random_cohort(30, missing=0, gaps=0)
    cohort = cohort.hide(torch.tensor([False, True, False]).expand(30, 3))
    model, cpu = sum_model(cohort.layout), torch.device("cpu")
    whole = predict_completed(model, cohort, samples=6, seed=0, device=cpu)
    for rows in (torch.tensor([7]), torch.tensor([20, 3, 11])):
        some = predict_completed(model, cohort[rows], samples=6, seed=0, device=cpu)
        np.testing.assert_allclose(some.completed[..., 0], whole.completed[:, rows.numpy(), 0], atol=1e-6)
