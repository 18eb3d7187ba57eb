"""What choosing the best of 15 candidates does to its AUC, on its folds, on other folds, and corrected.

    python benchmarks/choosing_recipes.py [--cohorts 400] [--repeats 1] [--seed 1]

Ridge regressions of 416 patients (38 % with the event) and 40 features, fitted again on each of five folds.
Features of patients with the event and without are unit normals, so that the AUC of each fitted model in
all possible patients is known. The truth of a candidate is the mean over its models.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from hcat_core.cohort import Cohort
from hcat_core.experiments.compare_recipes.results import FoldResult, FoldScores
from hcat_core.experiments.compare_recipes.selection import select_best
from hcat_core.metrics.recalibration import sigmoid
from hcat_core.testing.cohorts import random_cohort

PATIENTS, FEATURES, CANDIDATES = 416, 40, 15
EVENTS, SHIFT, PENALTY = 0.38, 0.16, 50.0
KINDS = ("equally good", "of different worth", "without any information", "one model with 15 penalties")
Candidates = list[tuple[np.ndarray, float]]  # features and penalty of each


def candidates_of(kind: str, rng: np.random.Generator) -> Candidates:
    """The features and the penalty of each candidate."""
    if kind == "one model with 15 penalties":
        return [(np.arange(FEATURES), float(penalty)) for penalty in np.geomspace(1, 5000, CANDIDATES)]
    widths = range(8, 8 + CANDIDATES) if kind == "of different worth" else [16] * CANDIDATES
    return [(rng.permutation(FEATURES)[:width], PENALTY) for width in widths]


def cross_validate(
    x: np.ndarray, y: np.ndarray, shift: float, candidates: Candidates, seed: int, repeats: int
) -> tuple[list[FoldResult], np.ndarray, np.ndarray]:
    """Fold results of every candidate, and the apparent and the true AUC of each."""
    results, apparent, truth = [], np.zeros(CANDIDATES), np.zeros(CANDIDATES)
    for repeat in range(repeats):
        splitter = StratifiedKFold(5, shuffle=True, random_state=seed + repeat)
        for fold, (rest, test) in enumerate(splitter.split(x, y)):
            centred = x[rest] - x[rest].mean(axis=0)
            products, moments = centred.T @ centred, centred.T @ (y[rest] - y[rest].mean())
            for k, (columns, penalty) in enumerate(candidates):
                ridge = products[np.ix_(columns, columns)] + penalty * np.eye(len(columns))
                slopes = np.linalg.solve(ridge, moments[columns])
                p = sigmoid(x[test][:, columns] @ slopes)
                apparent[k] += roc_auc_score(y[test], p)
                truth[k] += norm.cdf(shift * slopes.sum() / np.sqrt(2) / np.linalg.norm(slopes))
                scores = FoldScores({}, test.tolist(), p.tolist(), [1.0] * len(test))
                results.append(FoldResult(str(k), repeat, fold, {"survival": scores}))
    return results, apparent / (5 * repeats), truth / (5 * repeats)


def cohort_of(y: np.ndarray) -> Cohort:
    """A cohort of one task with these outcomes; its values are not used."""
    cohort = random_cohort(len(y))
    assert cohort.targets is not None
    targets = replace(cohort.targets, labels=torch.from_numpy(y.astype(np.int8))[:, None])
    return replace(cohort, layout=replace(cohort.layout, tasks=cohort.layout.tasks[:1]), targets=targets)


def errors(kind: str, rng: np.random.Generator, number: int, repeats: int) -> list[float]:
    """Errors of the best AUC in one cohort: on its folds, on others, corrected; 1 if the interval holds.

    ``number`` is that of the cohort, and sets the seeds of its folds.
    """
    shift = 0.0 if kind == "without any information" else SHIFT
    y = (rng.random(PATIENTS) < EVENTS).astype(int)
    x = rng.standard_normal((PATIENTS, FEATURES)) + y[:, None] * shift
    candidates = candidates_of(kind, rng)
    results, apparent, truth = cross_validate(x, y, shift, candidates, 1000 * number, repeats)
    _, other, other_truth = cross_validate(x, y, shift, candidates, 1000 * number + 500, repeats)
    names = [str(k) for k in range(CANDIDATES)]
    chosen = select_best(results, names, cohort_of(y), resamples=200, seed=number)
    assert chosen is not None
    best = int(chosen.winner)
    low, high = chosen.score.corrected_95
    return [
        apparent[best] - truth[best],
        other[best] - other_truth[best],
        chosen.score.corrected - truth[best],
        float(low <= truth[best] <= high),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cohorts", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print("| candidates | optimism of the best | on other folds | share | corrected | coverage |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in KINDS:
        rng = np.random.default_rng(given.seed)
        found = np.array([errors(kind, rng, number, given.repeats) for number in range(given.cohorts)])
        mean, se = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(len(found))
        cells = [f"{m:+.4f} ± {e:.4f}" for m, e in zip(mean[:3], se[:3], strict=True)]
        cells.insert(2, f"{mean[1] / mean[0]:.2f}")
        print(f"| {kind} | {' | '.join(cells)} | {mean[3]:.3f} |", flush=True)


if __name__ == "__main__":
    main()
