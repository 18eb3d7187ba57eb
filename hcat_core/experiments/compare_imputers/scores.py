"""How good an imputation is, on hidden cells alone, and what it does for a prediction behind it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.experiments.compare_imputers.cohorts import Trial
from hcat_core.imputation.scores import Z50, Z90, covered, energy_distance, gaussian_crps
from hcat_core.interfaces import Imputation

LEAST_PATIENTS = 30  # of a pattern that is reported
COMPONENTS = 16  # of each modality, for the linear probe
ENERGY_ROWS = 200


def score_imputation(
    trial: Trial, emb: Tensor, std: Tensor, filled: Tensor, draws: Tensor | None
) -> dict[str, Any]:
    """R2 against the training mean, CRPS, coverage and energy distance of the hidden cells.

    Cells are pooled; coverage is of continuous cells, binary ones have a Brier score on their own scale.
    A hidden block that was left unfilled counts as the training mean at std 1: that is what it is worth.
    """
    mean = torch.where(filled, emb, 0.0)
    spread = torch.where(filled, std, 1.0)
    hidden = trial.hidden
    error = (trial.truth - mean).square()
    baseline = trial.truth.square()  # standardised: the training mean is 0
    crps = gaussian_crps(trial.truth, mean, spread)
    continuous = hidden & ~trial.binary
    inside90 = covered(trial.truth, mean, spread, Z90)
    inside50 = covered(trial.truth, mean, spread, Z50)
    names = trial.test.layout.names
    result: dict[str, Any] = {
        "r2": _r2(error, baseline, hidden),
        "crps": _mean(crps, hidden),
        "coverage_90": _mean(inside90.float(), continuous),
        "coverage_50": _mean(inside50.float(), continuous),
        "width_90": _mean(2 * Z90 * spread, continuous),
        "hidden_cells": int(hidden.sum()),
    }
    result["by_modality"] = {
        name: {
            "r2": _r2(error[:, column], baseline[:, column], hidden[:, column]),
            "crps": _mean(crps[:, column], hidden[:, column]),
            "coverage_90": _mean(inside90[:, column].float(), continuous[:, column]),
        }
        for column, name in enumerate(names)
        if hidden[:, column].any()
    }
    if (hidden & trial.binary).any():
        scale, shift = trial.standardiser.scale, trial.standardiser.mean
        probability = (mean * scale + shift).clamp(0, 1)
        outcome = trial.truth * scale + shift
        result["brier_binary"] = _mean((probability - outcome).square(), hidden & trial.binary)
    result["by_pattern"] = {}
    for pattern in torch.unique(trial.test.present, dim=0):
        rows = (trial.test.present == pattern).all(dim=1)
        if rows.sum() < LEAST_PATIENTS or not hidden[rows].any():
            continue
        label = "+".join(n for n, has in zip(names, pattern.tolist(), strict=True) if has)
        result["by_pattern"][label] = {
            "patients": int(rows.sum()),
            "r2": _r2(error[rows], baseline[rows], hidden[rows]),
            "crps": _mean(crps[rows], hidden[rows]),
            "coverage_90": _mean(inside90[rows].float(), continuous[rows]),
        }
    result["energy_distance"] = None if draws is None else _energy(trial, draws)
    return result


def probe_auc(trial: Trial, train: Imputation, test: Imputation) -> dict[str, float]:
    """Test AUC by task of a linear probe on imputed cells, with an indicator for each missing block.

    Without any imputation the indicator is all there is for a missing block: a learned constant, which
    is the mask-token arm. Sixteen principal components a modality, fitted on training patients;
    ridge-penalised logistic regression.
    """
    targets = (trial.train.targets, trial.test.targets)
    if targets[0] is None or targets[1] is None:
        return {}
    fitted, asked = _features(trial.train, train), _features(trial.test, test)
    columns_fit, columns_ask = [], []
    for column, width in enumerate(trial.train.layout.widths):
        kept = min(COMPONENTS, width, len(trial.train))
        pca = PCA(kept, svd_solver="full").fit(fitted[:, column, :width])
        columns_fit.append(pca.transform(fitted[:, column, :width]))
        columns_ask.append(pca.transform(asked[:, column, :width]))
    x = np.concatenate([*columns_fit, ~trial.train.present.numpy()], axis=1)
    new = np.concatenate([*columns_ask, ~trial.test.present.numpy()], axis=1)
    result = {}
    for task, name in enumerate(trial.train.layout.task_names):
        y, known_fit = _known(targets[0].labels[:, task])
        truth, known_ask = _known(targets[1].labels[:, task])
        if len(set(y)) < 2 or len(set(truth)) < 2:
            continue
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        probe.fit(x[known_fit], y)
        result[name] = float(roc_auc_score(truth, probe.decision_function(new[known_ask])))
    return result


def _features(cohort: Cohort, imputation: Imputation) -> np.ndarray:
    known = cohort.measured | imputation.filled
    return np.asarray(torch.where(known, imputation.emb, 0.0).double().numpy())


def _known(labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    known = (labels >= 0).numpy()
    return labels.numpy()[known], known


def _r2(error: Tensor, baseline: Tensor, where: Tensor) -> float | None:
    total = float(baseline[where].sum(dtype=torch.float64))
    return 1 - float(error[where].sum(dtype=torch.float64)) / total if total > 0 else None


def _mean(values: Tensor, where: Tensor) -> float | None:
    return float(values[where].mean(dtype=torch.float64)) if where.any() else None


def _energy(trial: Trial, draws: Tensor) -> float | None:
    """Mean over modalities of the distance between true and drawn rows of hidden blocks."""
    found = []
    for column in range(draws.shape[1]):
        rows = trial.hidden[:, column].any(dim=1).nonzero().squeeze(1)[:ENERGY_ROWS]
        if len(rows) < LEAST_PATIENTS:
            continue
        where = trial.hidden[rows, column]
        distance = energy_distance(
            torch.where(where, trial.truth[rows, column], 0.0),
            torch.where(where, draws[rows, column], 0.0),
        )
        if math.isfinite(distance):
            found.append(distance)
    return sum(found) / len(found) if found else None
