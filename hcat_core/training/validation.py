"""Scores of the validation patients after an epoch, for each outcome of the recipe."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Prediction, ResidualHead
from hcat_core.layout import Outcome
from hcat_core.metrics.censoring import all_known_weights
from hcat_core.metrics.discrimination import best_threshold, binary_metrics
from hcat_core.training.checkpoints import TaskMetrics
from hcat_core.training.context import TrainingContext
from hcat_core.training.inference import single_pass
from hcat_core.training.model import HcatModel

MEANS = ("auc", "average_precision", "brier", "f1", "accuracy", "sensitivity", "specificity", "threshold")


def validate(
    model: HcatModel, training: Cohort, validation: Cohort, context: TrainingContext
) -> dict[str, TaskMetrics]:
    """Metrics by outcome on the validation patients, at the best threshold there.

    Those of an outcome of classes are the means over classes, each against the others. A number has no
    decisions: its ``auc`` is the share of pairs of patients in the right order, which an AUC is for events.

    Args:
        model: to score.
        training: standardised patients, on whom the distribution of censoring is estimated.
        validation: standardised patients.
        context: device and processes.
    """
    n = len(validation)
    share = validation[context.processes.rows(n)]
    single = single_pass(model, share, context.device)
    predicted = Prediction(
        context.processes.all_gather(single.prediction.event_probability, n),
        value=None
        if single.prediction.value is None
        else context.processes.all_gather(single.prediction.value, n),
    )
    raw = {name: context.processes.all_gather(outputs, n) for name, outputs in single.raw.items()}
    likelihoods = log_likelihoods(model, raw, validation, context.device)
    assert validation.targets is not None and training.targets is not None
    weights = all_known_weights(validation.layout, validation.targets, training.targets)
    result: dict[str, TaskMetrics] = {}
    for outcome in validation.layout.outcomes:
        terms = likelihoods.get(outcome.name, np.zeros(0))
        known = terms[np.isfinite(terms)]
        likelihood = float(known.mean()) if len(known) else None
        if outcome.kind == "continuous":
            scores = _of_number(predicted, validation, outcome)
        else:
            scores = _of_labels(predicted.probability, validation, weights, outcome)
        result[outcome.name] = {**scores, "likelihood": likelihood}
    return result


def log_likelihoods(
    model: HcatModel, raw: Mapping[str, Tensor], patients: Cohort, device: torch.device
) -> dict[str, np.ndarray]:
    """By outcome, the (N,) log likelihood of each patient's under its first head; NaN if unknown.

    Outcomes are left out whose head cannot give it.
    """
    assert patients.targets is not None
    targets = patients.targets.to(device)
    result = {}
    for name, outputs in model.first_heads(raw).items():
        head = model.heads[name]
        if isinstance(head, ResidualHead):
            terms = head.log_likelihood(outputs.to(device), targets)
            result[model.tasks[name]] = terms.detach().double().cpu().numpy()
    return result


def _of_labels(
    probability: np.ndarray, validation: Cohort, weights: np.ndarray, outcome: Outcome
) -> TaskMetrics:
    """Metrics of an event; of classes, their mean over classes."""
    assert validation.targets is not None
    each = []
    for column in outcome.columns:
        labels = validation.targets.labels[:, column].numpy()
        threshold = best_threshold(probability[:, column], labels, weights[:, column])
        each.append(vars(binary_metrics(probability[:, column], labels, threshold, weights[:, column])))
    if len(each) == 1:
        return dict(each[0])
    known = {name: [float(one[name]) for one in each if one[name] is not None] for name in MEANS}
    means = {name: float(np.mean(values)) if values else None for name, values in known.items()}
    return {"patients": each[0]["patients"], "events": each[0]["patients"], **means}


def _of_number(predicted: Prediction, validation: Cohort, outcome: Outcome) -> TaskMetrics:
    """Metrics of a number; those that need decisions are None."""
    assert validation.targets is not None and validation.targets.values is not None
    (column,) = outcome.columns
    value = validation.targets.values[:, column].double().numpy()
    error = value - predicted.values[:, column]
    known = np.isfinite(error)
    scores: dict[str, float | int | None] = {"patients": int(known.sum()), "events": 0}
    scores |= dict.fromkeys(MEANS)
    scores |= {"r2": None, "mae": None}
    spread = float(value[known].var()) if known.any() else 0.0
    if spread > 0:
        from scipy.stats import kendalltau

        order = float(kendalltau(value[known], predicted.values[known, column]).statistic)
        scores["auc"] = (1 + order) / 2 if np.isfinite(order) else 0.5
        scores["r2"] = 1 - float((error[known] ** 2).mean()) / spread
        scores["mae"] = float(np.abs(error[known]).mean())
    return scores
