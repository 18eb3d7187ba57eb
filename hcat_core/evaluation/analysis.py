"""What a model's figures hide: results by missingness pattern, by subset of modalities, by modality."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from hcat_core.cohort import Cohort, Targets
from hcat_core.data.missingness_patterns import count_patterns
from hcat_core.data.standardisation import Standardiser
from hcat_core.evaluation.shapley import MOST_MODALITIES, shapley_of, value_of_subsets
from hcat_core.imputation.hidden_blocks import leave_one_block_out
from hcat_core.imputation.scores import Z50, Z90, covered
from hcat_core.interfaces import Imputation, Prediction
from hcat_core.metrics.discrimination import RESAMPLED_FROM, auc_interval, binary_metrics
from hcat_core.metrics.outcome_metrics import calibration
from hcat_core.metrics.survival import known_weights

Record = dict[str, Any]
FEWEST = 10  # patients of either outcome, below which a slope says nothing


def by_pattern(
    cohort: Cohort,
    predicted: Prediction,
    thresholds: Sequence[float],
    train: Targets,
    resamples: int,
    seed: int,
) -> list[Record]:
    """Performance and calibration of the patients of each missingness pattern, the commonest first."""
    found = []
    for pattern, patients in count_patterns(cohort.present):
        rows = (cohort.present == torch.tensor(pattern)).all(dim=1)
        tasks = score_group(cohort[rows], predicted[rows.numpy()], thresholds, train, resamples, seed)
        found.append({"present": list(pattern), "patients": patients, "tasks": tasks})
    return found


def score_group(
    cohort: Cohort,
    predicted: Prediction,
    thresholds: Sequence[float],
    train: Targets,
    resamples: int,
    seed: int,
) -> dict[str, Record]:
    """By task: what can be said of a group of patients, however small.

    ``train`` are the patients whose censoring weighs known outcomes (``survival.known_weights``).
    """
    assert cohort.targets is not None
    tasks: dict[str, Record] = {}
    for column, task in enumerate(cohort.layout.tasks):
        weights = known_weights(cohort.targets, column, task.horizon_days, train)
        p, y = predicted.probability[:, column], cohort.targets.labels[:, column].numpy()
        known = y >= 0
        rarer = min(int((y == 1).sum()), int((y == 0).sum()))
        tasks[task.name] = {
            **binary_metrics(p, y, thresholds[column], weights),
            **calibration(p, y if rarer >= FEWEST else np.full_like(y, -1), weights),
            "auc_95": auc_interval(p, y, resamples=resamples, seed=seed),
            "mean_predicted": float(np.average(p[known], weights=weights[known])) if known.any() else None,
            "observed": float(np.average(y[known], weights=weights[known])) if known.any() else None,
        }
    return tasks


def by_modality(
    predict: Callable[[Cohort], np.ndarray], cohort: Cohort, base_rate: Sequence[float]
) -> Record:
    """All 2^M - 1 subsets by hiding what is there, each modality left out, mean absolute Shapley values.

    Args:
        predict: cohort -> (N, T) probabilities.
        cohort: with targets.
        base_rate: T mean predictions, for a patient who has nothing of a subset.
    """
    layout = cohort.layout
    m = len(layout.modalities)
    if m > MOST_MODALITIES or cohort.targets is None or not len(cohort):
        return {}
    labels = cohort.targets.labels.numpy()
    values = value_of_subsets(predict, cohort, np.array(base_rate))

    def aucs(subset: int) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for column, task in enumerate(layout.task_names):
            auc = binary_metrics(values[:, subset, column], labels[:, column], 0.5)["auc"]
            found[task] = None if auc is None else float(auc)
        return found

    everything = 2**m - 1
    whole = aucs(everything)
    subsets = sorted(range(1, 2**m), key=lambda subset: (-subset.bit_count(), subset))
    kept = [
        {
            "kept": [n for i, n in enumerate(layout.names) if subset >> i & 1],
            "tasks": aucs(subset),
        }
        for subset in subsets
    ]
    shapley = shapley_of(values)
    leave_one_out: dict[str, dict[str, float]] = {task: {} for task in layout.task_names}
    contributions: dict[str, dict[str, float]] = {task: {} for task in layout.task_names}
    for place, name in enumerate(layout.names):
        without = aucs(everything & ~(1 << place)) if m > 1 else {}
        has = cohort.present[:, place].numpy()
        for column, task in enumerate(layout.task_names):
            full, less = whole[task], without.get(task)
            if full is not None and less is not None:
                leave_one_out[task][name] = full - less
            if has.any():
                contributions[task][name] = float(np.abs(shapley[has, column, place]).mean())
    return {
        "subsets": kept,
        "importance": {"shapley": contributions, "leave_one_out": leave_one_out},
    }


def imputation_quality(
    impute: Callable[[Cohort], Imputation], cohort: Cohort, standardiser: Standardiser
) -> dict[str, Record]:
    """By modality, over its measured blocks hidden one at a time: R2 against the training mean, coverage.

    Coverage and width are of features that take more than two values.

    Args:
        impute: cohort -> imputation, in the units of the files.
        cohort: patients that the imputer has not learned from.
        standardiser: of the training patients; scores are in its units.
    """
    found: dict[str, Record] = {}
    two_valued = cohort.two_valued()
    for block in leave_one_block_out(cohort.without_targets()):
        imputation = impute(block.cohort)
        mean, scale = standardiser.mean[block.column], standardiser.scale[block.column]
        cells = block.measured & imputation.filled[:, block.column]
        record: Record = {"blocks": len(block.rows), "r2": None, "coverage_50": None}
        record |= {"coverage_90": None, "width_90": None}
        if bool(cells.any()):
            truth = ((block.truth - mean) / scale)[cells]
            guess = ((imputation.emb[:, block.column] - mean) / scale)[cells]
            std = (imputation.std[:, block.column] / scale)[cells]
            total = truth.square().sum()
            record["r2"] = float(1 - (truth - guess).square().sum() / total) if total > 0 else None
            several = (~two_valued[block.column]).expand(cells.shape)[cells]
            truth, guess, std = truth[several], guess[several], std[several]
            if len(truth):
                record["coverage_50"] = float(covered(truth, guess, std, Z50).float().mean())
                record["coverage_90"] = float(covered(truth, guess, std, Z90).float().mean())
                record["width_90"] = float(2 * Z90 * std.mean())
        found[cohort.layout.names[block.column]] = record
    return found


def paired_auc_difference(
    own: np.ndarray, other: np.ndarray, label: np.ndarray, *, resamples: int, seed: int
) -> list[float] | None:
    """Mean difference of two models' AUC on the same patients, with its bootstrap 95 % interval.

    None with fewer than ``RESAMPLED_FROM`` of either outcome.

    Args:
        own: (N,) predictions.
        other: (N,) of the model to compare with.
        label: (N,) 1, 0 or -1.
        resamples: of patients, within each outcome.
        seed: of the resamples.
    """
    known = label >= 0
    a, b, y = own[known], other[known], label[known] == 1
    events, free = int(y.sum()), int((~y).sum())
    if not resamples or min(events, free) < RESAMPLED_FROM:
        return None

    def wins(p: np.ndarray) -> np.ndarray:
        pairs = np.sign(p[y][:, None] - p[~y][None, :])
        return np.asarray((pairs + 1) / 2)

    difference = wins(a) - wins(b)
    rng = np.random.default_rng(seed)
    up = rng.multinomial(events, np.full(events, 1 / events), size=resamples)
    down = rng.multinomial(free, np.full(free, 1 / free), size=resamples)
    found = ((up @ difference) * down).sum(axis=1) / (events * free)
    low, high = np.quantile(found, [0.025, 0.975])
    return [float(difference.mean()), float(low), float(high)]
