"""Metrics from probabilities, thresholds from validation patients, intervals from resampled patients.

Nothing here thresholds before ranking, and no function chooses and scores on the same patients
(SCIENCE trap 6).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from hcat_core.cohort import CURVE_STEPS, Cohort
from hcat_core.draws import CommonNumbers, common_dropout
from hcat_core.interfaces import Imputation, Prediction
from hcat_core.model import HcatModel

RESAMPLED_FROM = 5  # events, or patients of either outcome; fewer would make a bootstrap too sure
MC_ROWS = 512  # patients in one forward pass: enough to keep the matrix products busy


@dataclass(frozen=True)
class Predicted:
    """Probabilities of a cohort, (N, T) each: mean, and 5th and 95th percentile over MC-dropout.

    Without an interval ``low`` and ``high`` are NaN. ``curve`` (N, T, 12) is the mean event probability by
    each of a task's ``curve_days``, NaN where the risk over time is not known.
    """

    probability: np.ndarray
    low: np.ndarray
    high: np.ndarray
    curve: np.ndarray

    @property
    def has_interval(self) -> bool:
        """False where the estimator knows no uncertainty of a single prediction."""
        return bool(np.isfinite(self.low).any())

    def rows(self, rows: np.ndarray) -> Predicted:
        """Some of the patients."""
        return Predicted(self.probability[rows], self.low[rows], self.high[rows], self.curve[rows])

    @classmethod
    def of(cls, prediction: Prediction) -> Predicted:
        """An estimator's prediction as arrays; without an interval, NaN."""
        p = prediction.event_probability.double().numpy()
        curve = np.full((*p.shape, CURVE_STEPS), np.nan)
        curve[..., -1] = p
        if prediction.curve is not None:
            curve = prediction.curve.double().numpy()
        low = high = np.full(p.shape, np.nan)
        if prediction.interval is not None:
            low, high = np.moveaxis(prediction.interval.double().numpy(), -1, 0)
        return cls(p, low, high, curve)


@torch.inference_mode()
def predict_cohort(
    model: HcatModel, cohort: Cohort, *, mc_samples: int, seed: int, device: torch.device
) -> Predicted:
    """Predict every patient of a standardised cohort.

    With samples, each one draws what is missing anew and drops out anew, and the probability is their
    mean: Rubin's (1987) multiple imputation, so that an interval holds what imputing cannot know. A sample
    is the same for all patients: nobody's prediction depends on who else is in the cohort.

    Args:
        model: the trained assembly.
        cohort: N patients.
        mc_samples: draws and dropout samples a patient (Gal and Ghahramani 2016); 0 for one pass at the
            imputation's mean, without dropout. Below 2 there is no interval.
        seed: of draws and dropout masks; torch's global generator is left as it was.
        device: where to compute.
    """
    training = model.training
    model.eval()
    parts, curves = [], []
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        if mc_samples:
            _dropout_only(model)
        for rows in torch.arange(len(cohort)).split(MC_ROWS):
            batch = cohort[rows].to(device)
            imputation = model.impute(batch)
            found = [
                model.predict(model.fuse(batch, imputation))
                if not mc_samples
                else _sample(model, batch, imputation, seed, sample)
                for sample in range(max(1, mc_samples))
            ]
            parts.append(torch.stack([one.event_probability for one in found]).cpu())
            curves.append(torch.stack([_curve(one) for one in found]).mean(dim=0).cpu())
    model.train(training)
    tasks = len(model.layout.tasks)
    draws = torch.cat(parts, dim=1).double().numpy() if parts else np.zeros((1, 0, tasks))
    curve = torch.cat(curves).double().numpy() if curves else np.zeros((0, tasks, CURVE_STEPS))
    low = high = np.full(draws.shape[1:], np.nan)
    if len(draws) > 1:
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    return Predicted(draws.mean(axis=0), low, high, curve)


def _sample(model: HcatModel, batch: Cohort, imputation: Imputation, seed: int, sample: int) -> Prediction:
    """One draw of what is missing and one network, the same for whichever patients are asked about."""
    number = int(np.random.SeedSequence([seed, sample]).generate_state(1, np.uint64)[0] >> 2)
    torch.manual_seed(number)
    generator = CommonNumbers(device=batch.emb.device)
    generator.manual_seed(number)
    drawn = replace(imputation, emb=imputation.draw(1, generator)[0])
    with common_dropout():
        return model.predict(model.fuse(batch, drawn))


def _curve(prediction: Prediction) -> torch.Tensor:
    assert prediction.curve is not None, "the neural assembly's predictions have one"
    return prediction.curve


def _dropout_only(model: HcatModel) -> None:
    """Dropout on in fusion and heads, everything else as in evaluation; the imputer stays fixed."""
    for part in (model.fusion, *model.heads.values()):
        if isinstance(part, nn.Module):
            for module in part.modules():
                if isinstance(module, nn.Dropout):
                    module.train()
                if isinstance(module, nn.MultiheadAttention | nn.TransformerEncoderLayer):
                    # The dropout of the first is a number, not a module; out of training, torch computes
                    # the second in one piece, which leaves out the dropout modules within.
                    module.training = True


def best_threshold(probability: np.ndarray, label: np.ndarray) -> float:
    """The probability cut of highest F1 on these patients (validation ones, never those reported).

    Halfway to the next lower probability, so that it does not hang on one patient's last digit;
    0.5 where one outcome is missing.
    """
    if label.min(initial=1) == label.max(initial=0) or not len(label):
        return 0.5
    from sklearn import metrics  # takes a second to import, which predicting does not need

    precision, recall, cuts = metrics.precision_recall_curve(label, probability)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    best = int(f1[:-1].argmax())
    below = probability[probability < cuts[best]]
    return float((cuts[best] + below.max()) / 2) if len(below) else float(cuts[best])


def binary_metrics(
    probability: np.ndarray, label: np.ndarray, threshold: float, weights: np.ndarray | None = None
) -> dict[str, float | int | None]:
    """Discrimination, calibration and decisions of one task; None where one outcome is missing.

    Args:
        probability: (N,) predicted.
        label: (N,) 1, 0 or -1; patients with an unknown outcome are left out.
        threshold: chosen elsewhere.
        weights: (N,) as of ``survival.known_weights``, for the Brier score.
    """
    from sklearn import metrics

    known = label >= 0
    p, y = probability[known], label[known]
    w = None if weights is None else weights[known]
    events = int(y.sum())
    result: dict[str, float | int | None] = {"patients": len(y), "events": events}
    both = 0 < events < len(y)
    called = p >= threshold
    result["auc"] = float(metrics.roc_auc_score(y, p)) if both else None
    result["average_precision"] = float(metrics.average_precision_score(y, p)) if both else None
    result["brier"] = float(np.average((p - y) ** 2, weights=w)) if len(y) else None
    result["f1"] = float(metrics.f1_score(y, called)) if both else None
    result["accuracy"] = float((called == y).mean()) if len(y) else None
    result["sensitivity"] = float(called[y == 1].mean()) if events else None
    result["specificity"] = float((~called[y == 0]).mean()) if events < len(y) else None
    result["threshold"] = threshold
    return result


def auc_interval(
    probability: np.ndarray, label: np.ndarray, *, resamples: int, seed: int, level: float = 0.95
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the AUC over patients, resampled within each outcome.

    None with fewer than ``RESAMPLED_FROM`` of either: resampled, one event is the same event again, and the
    interval of its AUC would have no width.

    All resamples at once: a resample is a vector of patient weights, and the AUC is the weighted
    share of (event, event-free) pairs in the right order, ties counting half.
    """
    known = label >= 0
    p, y = probability[known], label[known].astype(bool)
    events, free = int(y.sum()), int((~y).sum())
    if not resamples or min(events, free) < RESAMPLED_FROM:
        return None
    rng = np.random.default_rng(seed)
    order = np.argsort(p, kind="stable")
    p, y = p[order], y[order]
    starts = np.flatnonzero(np.r_[True, p[1:] > p[:-1]])
    aucs = []
    step = max(1, 4_000_000 // len(p))
    for first in range(0, resamples, step):
        count = min(step, resamples - first)
        weight = np.zeros((count, len(p)))
        weight[:, y] = rng.multinomial(events, np.full(events, 1 / events), size=count)
        weight[:, ~y] = rng.multinomial(free, np.full(free, 1 / free), size=count)
        up = np.add.reduceat(weight * y, starts, axis=1)
        down = np.add.reduceat(weight * ~y, starts, axis=1)
        below = np.cumsum(down, axis=1) - down / 2
        aucs.append((up * below).sum(axis=1) / (events * free))
    low, high = np.quantile(np.concatenate(aucs), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
