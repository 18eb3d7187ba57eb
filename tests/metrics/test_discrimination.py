"""Metrics from probabilities; thresholds from other patients; intervals that mean what they say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score
from torch import nn

from hcat_core.evaluation.analysis import paired_auc_difference
from hcat_core.interfaces import Fused, Imputation, Predicted, Prediction
from hcat_core.metrics.discrimination import auc_interval, best_threshold, binary_metrics
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.testing.cohorts import random_cohort
from hcat_core.training.common_random import common_dropout
from hcat_core.training.inference import predict_cohort
from hcat_core.training.model import HcatModel
from hcat_core.training.neural_estimator import as_prediction


def draw(n=200, seed=0, signal=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return 1 / (1 + np.exp(-(signal * (y - 0.5) + rng.normal(size=n)))), y


def test_trap_6_the_auc_comes_from_probabilities_not_from_decisions():
    p, y = draw()
    result = binary_metrics(p, y, 0.5)
    assert result["auc"] == pytest.approx(roc_auc_score(y, p))
    assert result["auc"] != pytest.approx(roc_auc_score(y, p >= 0.5))
    assert binary_metrics(p, y, 0.9)["auc"] == result["auc"]


def test_unknown_outcomes_are_left_out():
    p, y = draw()
    unknown = np.r_[y, -np.ones(50, int)]
    assert binary_metrics(np.r_[p, np.ones(50)], unknown, 0.5) == binary_metrics(p, y, 0.5)


@given(st.integers(0, 200), st.integers(2, 60))
def test_no_other_threshold_has_a_higher_f1(seed, n):
    p, y = draw(n, seed)
    p = p.round(1)
    if y.min() == y.max():
        assert best_threshold(p, y) == 0.5
        return
    best = f1_score(y, p >= best_threshold(p, y))
    assert all(best >= f1_score(y, p >= cut) - 1e-12 for cut in np.r_[0, p, 1.1])


def test_one_outcome_only_gives_none_not_a_number():
    result = binary_metrics(np.array([0.2, 0.9]), np.array([1, 1]), 0.5)
    assert result["auc"] is None and result["f1"] is None and result["specificity"] is None
    assert auc_interval(np.array([0.2, 0.9]), np.array([1, 1]), resamples=10, seed=0) is None


@pytest.mark.parametrize("events", [1, 4, 5])
def test_a_handful_of_events_gets_no_interval(events):
    """One event above all others, resampled, is always above all others: no width is not certainty."""
    p, y = np.linspace(0, 1, 30), np.zeros(30, int)
    y[-events:] = 1
    for label in (y, 1 - y):
        told = auc_interval(p, label, resamples=50, seed=0)
        difference = paired_auc_difference(p, p[::-1], label, resamples=50, seed=0)
        assert (told is None, difference is None) == (events < 5, events < 5)


def test_the_bootstrap_equals_resampling_patient_by_patient():
    p, y = draw(60, signal=0.8)
    p = p.round(1)
    low, high = auc_interval(p, y, resamples=4000, seed=1)
    rng = np.random.default_rng(2)
    events, free = np.flatnonzero(y), np.flatnonzero(1 - y)
    aucs = []
    for _ in range(2000):
        rows = np.r_[rng.choice(events, len(events)), rng.choice(free, len(free))]
        aucs.append(roc_auc_score(y[rows], p[rows]))
    assert [low, high] == pytest.approx(np.quantile(aucs, [0.025, 0.975]), abs=0.02)


def test_the_interval_covers_the_true_auc_about_as_often_as_it_says():
    # Two unit normals one apart: AUC = Phi(1 / sqrt 2).
    truth, hits = 0.7602, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        y = np.r_[np.ones(60, int), np.zeros(90, int)]
        low, high = auc_interval(rng.normal(size=150) + y, y, resamples=400, seed=seed)
        hits += low <= truth <= high
    assert 0.88 <= hits / 200 <= 0.99


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
    assert np.isfinite(predicted.probability[:, 0]).all() and as_prediction([predicted]).interval is None
    moved = Recalibration((0.4,), (0.6,)).apply(Predicted.of(as_prediction([predicted])))
    assert not moved.has_interval and np.isfinite(moved.probability[:, 0]).all()


def test_a_patients_prediction_does_not_hang_on_who_else_is_asked_about():
    cohort = random_cohort(40, missing=0.4, gaps=0.1)
    model = encoder_model(cohort.layout)
    whole = encoder_predicts(8, cohort, model)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    for rows in (order, order[:7], order[:1]):
        some, same = encoder_predicts(8, cohort[rows], model), whole.rows(rows.numpy())
        for found, expected in zip(
            (some.probability, some.low, some.high), (same.probability, same.low, same.high), strict=True
        ):
            np.testing.assert_allclose(found[:, 0], expected[:, 0], atol=1e-5)
    # Not because nothing is drawn: another seed says something else.
    other = predict_cohort(model, cohort, mc_samples=8, seed=1, device=torch.device("cpu"))
    assert np.abs(other.probability - whole.probability)[:, 0].max() > 0.01


def test_a_dropped_out_layer_keeps_the_rate_and_the_mean():
    torch.manual_seed(0)
    rows = torch.ones(50, 20_000)
    with common_dropout():
        dropped = nn.functional.dropout(rows, 0.3)
        weights = nn.functional.scaled_dot_product_attention(
            torch.zeros(50, 1, 1, 2),
            torch.zeros(50, 1, 2_000, 2),
            torch.ones(50, 1, 2_000, 1),
            dropout_p=0.3,
        )
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert abs(float((dropped == 0).float().mean()) - 0.3) < 0.02
    assert abs(float(dropped.mean()) - 1) < 0.02
    assert torch.equal(weights, weights[:1].expand_as(weights))
    assert 1e-6 < abs(float(weights[0]) - 1) < 0.05
