"""How good an imputation is: on hidden cells alone, and for a prediction made from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
from hcat_core.experiments.compare_imputers.results import BlockScores, ImputationScores, PatternScores
from hcat_core.imputation.scores import covered, energy_distance, gaussian_crps
from hcat_core.interfaces import Imputation

LEAST_PATIENTS = 30  # of a pattern that is reported
COMPONENTS = 16  # of each modality, for the linear probe
ENERGY_ROWS = 200


@dataclass(frozen=True)
class _Cells:
    """Every cell's score (N, M, D), and which cells count."""

    hidden: Tensor
    continuous: Tensor
    error: Tensor
    baseline: Tensor
    crps: Tensor
    inside90: Tensor

    def block(self, where: Tensor | tuple[slice] | tuple[slice, int]) -> BlockScores:
        """The scores of the cells at ``where``, an index of patients or of a modality."""
        return BlockScores(
            r2=_r2(self.error[where], self.baseline[where], self.hidden[where]),
            crps=_mean(self.crps[where], self.hidden[where]),
            coverage_90=_mean(self.inside90[where], self.continuous[where]),
        )


def score_imputation(trial: Trial, imputation: Imputation, draws: Tensor | None) -> ImputationScores:
    """R2 against the training mean, CRPS, coverage and energy distance of the hidden cells.

    Cells are pooled. Coverage is that of continuous cells; binary ones have a Brier score on their own
    scale. A hidden block that was left unfilled counts as the training mean with a standard deviation of 1.

    Args:
        trial: with the truth.
        imputation: of the test patients.
        draws: (N, M, D) one draw, for the energy distance; None for none.
    """
    mean = torch.where(imputation.filled, imputation.emb, 0.0)
    spread = torch.where(imputation.filled, imputation.std, 1.0)
    low, high = _interval(imputation, 0.9)
    hidden, names = trial.hidden, trial.test.layout.names
    cells = _Cells(
        hidden=hidden,
        continuous=hidden & ~trial.binary,
        error=(trial.truth - mean).square(),
        baseline=trial.truth.square(),  # standardised: the training mean is 0
        crps=gaussian_crps(trial.truth, mean, spread),
        inside90=covered(trial.truth, low, high).float(),
    )
    everywhere = cells.block((slice(None),))
    return ImputationScores(
        r2=everywhere.r2,
        crps=everywhere.crps,
        coverage_90=everywhere.coverage_90,
        coverage_50=_mean(covered(trial.truth, *_interval(imputation, 0.5)).float(), cells.continuous),
        width_90=_mean(high - low, cells.continuous),
        hidden_cells=int(hidden.sum()),
        by_modality={
            name: cells.block((slice(None), column))
            for column, name in enumerate(names)
            if hidden[:, column].any()
        },
        brier_binary=_brier_binary(trial, mean),
        by_pattern=_by_pattern(trial, cells),
        energy_distance=None if draws is None else _energy(trial, draws),
    )


def _interval(imputation: Imputation, level: float) -> tuple[Tensor, Tensor]:
    """Ends (N, M, D) of intervals; those of a standard normal variable where nothing was imputed."""
    half = float(torch.special.ndtri(torch.tensor((1 + level) / 2)))
    low, high = imputation.interval(level)
    return torch.where(imputation.filled, low, -half), torch.where(imputation.filled, high, half)


def _brier_binary(trial: Trial, mean: Tensor) -> float | None:
    scale, shift = trial.standardiser.scale, trial.standardiser.mean
    probability = (mean * scale + shift).clamp(0, 1)
    outcome = trial.truth * scale + shift
    return _mean((probability - outcome).square(), trial.hidden & trial.binary)


def _by_pattern(trial: Trial, cells: _Cells) -> dict[str, PatternScores]:
    """By pattern of measured modalities, where ``LEAST_PATIENTS`` share it."""
    result = {}
    for pattern in torch.unique(trial.test.present, dim=0):
        rows = (trial.test.present == pattern).all(dim=1)
        if rows.sum() < LEAST_PATIENTS or not cells.hidden[rows].any():
            continue
        named = zip(trial.test.layout.names, pattern.tolist(), strict=True)
        label = "+".join(name for name, measured in named if measured)
        block = cells.block(rows)
        result[label] = PatternScores(int(rows.sum()), block.r2, block.crps, block.coverage_90)
    return result


def probe_auc(trial: Trial, train: Imputation, test: Imputation) -> dict[str, float]:
    """Test AUC by outcome of a linear probe on imputed cells, with an indicator for each missing block.

    That of classes is their macro AUC; a number has none.

    Without any imputation the indicator is all that the probe has of a missing block, as a learned mask
    token is for a network. The features are sixteen principal components of each modality, fitted on
    training patients; the probe is a ridge-penalised logistic regression.
    """
    train_targets, test_targets = trial.train.targets, trial.test.targets
    if train_targets is None or test_targets is None:
        return {}
    x_train, x_test = _probe_features(trial, train, test)
    result = {}
    for outcome in trial.train.layout.outcomes:
        aucs = []
        for task in outcome.columns:
            y_train, train_mask = _known(train_targets.labels[:, task])
            y_test, test_mask = _known(test_targets.labels[:, task])
            if len(set(y_train)) < 2 or len(set(y_test)) < 2:
                continue
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
            probe.fit(x_train[train_mask], y_train)
            aucs.append(float(roc_auc_score(y_test, probe.decision_function(x_test[test_mask]))))
        if aucs:
            result[outcome.name] = float(np.mean(aucs))
    return result


def _probe_features(trial: Trial, train: Imputation, test: Imputation) -> tuple[np.ndarray, np.ndarray]:
    """Principal components and indicators of missing blocks, of train and of test patients."""
    train_cells, test_cells = _filled_cells(trial.train, train), _filled_cells(trial.test, test)
    train_columns, test_columns = [], []
    for column, width in enumerate(trial.train.layout.widths):
        count = min(COMPONENTS, width, len(trial.train))
        pca = PCA(count, svd_solver="full").fit(train_cells[:, column, :width])
        train_columns.append(pca.transform(train_cells[:, column, :width]))
        test_columns.append(pca.transform(test_cells[:, column, :width]))
    return (
        np.concatenate([*train_columns, ~trial.train.present.numpy()], axis=1),
        np.concatenate([*test_columns, ~trial.test.present.numpy()], axis=1),
    )


def _filled_cells(cohort: Cohort, imputation: Imputation) -> np.ndarray:
    """(N, M, D) measured and imputed values, 0 elsewhere."""
    known = cohort.measured | imputation.filled
    return np.asarray(torch.where(known, imputation.emb, 0.0).double().numpy())


def _known(labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The known labels, and where they are."""
    known = (labels >= 0).numpy()
    return labels.numpy()[known], known


def _r2(error: Tensor, baseline: Tensor, where: Tensor) -> float | None:
    total = float(baseline[where].sum(dtype=torch.float64))
    return 1 - float(error[where].sum(dtype=torch.float64)) / total if total > 0 else None


def _mean(values: Tensor, where: Tensor) -> float | None:
    return float(values[where].mean(dtype=torch.float64)) if where.any() else None


def _energy(trial: Trial, draws: Tensor) -> float | None:
    """Mean over modalities of the distance between true and drawn rows of hidden blocks."""
    distances = []
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
            distances.append(distance)
    return sum(distances) / len(distances) if distances else None
