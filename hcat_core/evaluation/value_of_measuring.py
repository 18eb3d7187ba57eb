"""How much a missing modality would change a patient's prediction if it were measured.

Before modality m is measured, the prediction that will be made with it is a random variable. Its variance,

    Var over x_m of E[p | x_m, observed],

is by how much measuring m is expected to reduce the variance of p (law of total variance): the value of
information under squared error in a preposterior analysis (Raiffa and Schlaifer 1961, chapter 5). Values
x_m are drawn from the imputer, and the expectation is the model's prediction with x_m in the place of a
measured value, without dropout; other missing modalities are imputed anew, given x_m. Two things must not
count as value:

- The mean of the predictions over draws differs from the present prediction, as no model is fully coherent.
  So the movement of the logit around its mean over draws is added to the present logit.
- A model fitted to few patients moves with what it has learned by chance, too. Members of an ensemble
  disagree about such movements. With V the variance of their mean movement, and J the variance of that mean
  as an estimate (the jackknife over members, as in ``training.ensemble_interval``), the value is
  V V / (V + J): shrunk by how far the members agree, as in empirical Bayes estimation.

All patients and modalities share their random numbers, so that differences between them are not due to
chance. Antithetic draws would not help: they balance the mean, while to a variance two opposite draws
contribute the same square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import CommonNumbers, Imputation
from hcat_core.metrics.recalibration import logit, sigmoid
from hcat_core.training.ensemble_interval import jackknife_variance

Predict = Callable[[Cohort], np.ndarray]
DRAWS = 128  # of a missing modality; the error of a variance is then about an eighth of it
ROWS = 4096  # patients x draws predicted at once; bounds memory
CELLS = 1 << 25  # drawn at once; bounds memory
WIDTH_DRAWS = 8
ERRORS = 2.0  # Monte Carlo errors above 0 from which a reduction counts
ROUNDING = 1e-12  # what a reduction of nothing may come out as


@dataclass(frozen=True)
class ValueOfMeasuring:
    """Expected reductions of the variance of N patients' T predictions by measuring one of M modalities.

    Attributes:
        reduction: (N, T, M) of the squared probability or value, at least 0; NaN for a modality that is
            present, or that the imputer does not fill.
        error: (N, T, M) Monte Carlo standard error of the reduction over draws.
    """

    reduction: np.ndarray
    error: np.ndarray

    def best(self) -> np.ndarray:
        """(N, T) modality with the largest reduction; -1 where none is beyond ``ERRORS`` errors of it."""
        known = np.where(self.reduction > ERRORS * self.error + ROUNDING, self.reduction, -np.inf)
        return np.where(np.isfinite(known).any(axis=2), known.argmax(axis=2), -1)


def value_of_measuring(
    predict: Predict, cohort: Cohort, imputation: Imputation, seed: int, draws: int = DRAWS
) -> ValueOfMeasuring:
    """Compute what each missing modality would change if it were measured.

    Args:
        predict: cohort -> (K, N, T) probabilities, or values, by K members in a single pass, without
            dropout.
        cohort: N patients.
        imputation: of these patients, in the cohort's units.
        seed: of the draws.
        draws: S of each missing modality, at least 2.
    """
    now, numbers = predict(cohort), cohort.layout.numbers
    (members, n, tasks), m = now.shape, cohort.present.shape[1]
    moved = np.full((m, n, draws, members, tasks), np.nan)
    done = 0
    for drawn in _draws(imputation, draws, seed):
        upto = done + len(drawn)
        for column, rows, completed in _as_if_measured(cohort, imputation, drawn):
            z = _on_line(predict(completed), numbers).reshape(members, len(drawn), len(rows), tasks)
            moved[column, rows, done:upto] = z.transpose(2, 1, 0, 3)
        done = upto
    reduction, error = variance_of_movement(moved, _on_line(now.mean(axis=0), numbers), numbers)
    return ValueOfMeasuring(np.moveaxis(reduction, 0, 2), np.moveaxis(error, 0, 2))


def variance_of_movement(
    logits: np.ndarray, now: np.ndarray, numbers: Sequence[int] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """The variance over S draws of the probability that K members predict on average, and its error.

    Args:
        logits: (M, N, S, K, T) that would be predicted; of numbers, values.
        now: (N, T) the present logits, or values.
        numbers: columns of the tasks that are numbers.

    Returns:
        (M, N, T) variances, shrunk by how far members agree, and their standard errors over draws.
    """
    draws = logits.shape[2]
    z = now[:, None, None] + logits - logits.mean(axis=2, keepdims=True)
    p = sigmoid(z)
    p[..., list(numbers)] = z[..., list(numbers)]
    movement = p - p.mean(axis=2, keepdims=True)
    square = movement.mean(axis=3) ** 2
    moved = square.sum(axis=2)
    disagreed = jackknife_variance(np.moveaxis(movement, 3, 0)).sum(axis=2)
    agreed = np.divide(moved, moved + disagreed, out=np.zeros_like(moved), where=moved > 0)
    return moved * agreed / (draws - 1), square.std(axis=2, ddof=1) * agreed / np.sqrt(draws)


def _on_line(estimate: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """(..., T) logits of probabilities, and values as they are."""
    line = logit(estimate)
    line[..., list(numbers)] = estimate[..., list(numbers)]
    return line


def width_if_measured(
    width: Callable[[Cohort], np.ndarray], cohort: Cohort, imputation: Imputation, seed: int
) -> np.ndarray:
    """Expected width of a prediction's interval if a missing modality were measured.

    The mean over draws of the imputer, which are treated as measured values, of the width of the interval.

    Args:
        width: cohort -> (N, T) widths of intervals, with the same random numbers for every patient, so that
            widths differ by what was measured and not by chance.
        cohort: N patients.
        imputation: of these patients, in the cohort's units.
        seed: of the draws.

    Returns:
        (N, T, M) widths, NaN for a modality that is present, or that the imputer does not fill.
    """
    n, m = cohort.present.shape
    total = np.full((n, len(cohort.layout.tasks), m), np.nan)
    for column in range(m):
        total[lacking(cohort, imputation, column).numpy(), :, column] = 0
    for drawn in _draws(imputation, WIDTH_DRAWS, seed):
        for column, rows, completed in _as_if_measured(cohort, imputation, drawn):
            total[rows, :, column] += width(completed).reshape(len(drawn), len(rows), -1).sum(axis=0)
    return total / WIDTH_DRAWS


def _draws(imputation: Imputation, draws: int, seed: int) -> Iterator[Tensor]:
    """(S', N, M, D) draws, S in all, the same numbers for every patient."""
    generator = CommonNumbers()
    generator.manual_seed(seed)
    at_once = max(1, CELLS // max(1, imputation.emb.numel()))
    for start in range(0, draws, at_once):
        yield imputation.draw(min(at_once, draws - start), generator)


def _as_if_measured(
    cohort: Cohort, imputation: Imputation, drawn: Tensor
) -> Iterator[tuple[int, np.ndarray, Cohort]]:
    """For each modality, n of the patients who lack it, and S n patients with draws of it as measured."""
    for column in range(cohort.present.shape[1]):
        which = lacking(cohort, imputation, column).nonzero().squeeze(1)
        for rows in which.split(max(1, ROWS // len(drawn))) if len(which) else ():
            yield column, rows.numpy(), with_measured(cohort, rows, column, drawn[:, rows, column])


def lacking(cohort: Cohort, imputation: Imputation, column: int) -> Tensor:
    """(N,) whether a modality is missing entirely, and filled entirely."""
    cells = cohort.layout.cells[column]
    return ~cohort.present[:, column] & imputation.filled[:, column][:, cells].all(dim=1)


def with_measured(cohort: Cohort, rows: Tensor, column: int, values: Tensor) -> Cohort:
    """The patients of these n rows, once for each of (S, n, D) values, as if measured in a modality."""
    cells = cohort.layout.cells[column]
    again = cohort.without_targets()[rows.repeat(len(values))]
    emb, measured, present = again.emb.clone(), again.measured.clone(), again.present.clone()
    quality, n_rows = again.quality.clone(), again.n_rows.clone()
    emb[:, column] = values.flatten(0, 1) * cells
    measured[:, column] = cells
    present[:, column] = True
    quality[:, column], n_rows[:, column] = 1.0, 1
    return replace(again, emb=emb, measured=measured, present=present, quality=quality, n_rows=n_rows)
