"""How far a model's logits are from the true ones, as far as held-out patients show it.

Members that agree may be wrong together: their weights are shrunk towards zero, and there may be curves
and interactions that none of them can follow. One outcome per patient does not show this, but similar
patients do: if the model is right, the residuals e = y - p of two held-out patients are uncorrelated; if
the error of the logit is a smooth function of what was measured, they are alike for similar patients. To
first order,

    E[e_i e_j] = v_i v_j Cov(error_i, error_j),    v = p (1 - p),

for patients i and j who are both held out from the same member, whose training knew neither outcome. With
s the mean product of two patients' standardised cells, Cov(error_i, error_j) = a s_ij + b s_ij^2: a is an
error in the weights, b one in curves and interactions. Both are found by regressing products of residuals
on the right side, over pairs of patients (Haseman and Elston 1972; for binary outcomes Golan, Lander and
Rosset 2014), not below 0. The variance of a patient's error is then a s_ii + b s_ii^2. It contains the
sampling error of a single member, which is in the variance between members, too: the sum of the two
is rather too large where a model can follow the truth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Prediction
from hcat_core.metrics.censoring import all_known_weights
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.metrics.resampling import group_numbers

MOST = 2_000  # held-out patients of one member whose pairs are used; bounds memory
POWERS = (1, 2)  # of the similarity: weights; curves and interactions


@dataclass(frozen=True)
class Misfit:
    """Variance components of the error of the logit, T of each.

    Attributes:
        linear: of the similarity of patients.
        quadratic: of its square.
    """

    linear: tuple[float, ...]
    quadratic: tuple[float, ...]

    def variance(self, size: np.ndarray) -> np.ndarray:
        """(..., T) variance for patients whose standardised cells have these (...) mean squares."""
        size = size[..., None]
        return np.asarray(np.array(self.linear) * size + np.array(self.quadratic) * size**2)


@dataclass(frozen=True)
class HeldOutResiduals:
    """The patients who were held out from one member.

    Attributes:
        cells: (n, F) standardised, with gaps filled.
        residual: (n, T) outcome less probability; 0 where the outcome is unknown.
        variance: (n, T) of the outcome, p (1 - p); 0 where it is unknown. Where times are known, both are
            multiplied by the weight with which known outcomes represent unknown ones.
        groups: (n,) numbers of groups, whose outcomes are alike for other reasons too; None without.
    """

    cells: np.ndarray
    residual: np.ndarray
    variance: np.ndarray
    groups: np.ndarray | None = None


def misfit_of(
    train: Cohort, out_of_fold: np.ndarray, cells: Iterable[tuple[np.ndarray, np.ndarray]]
) -> Misfit:
    """The misfit of cross-fitted members, of the logit before recalibration; 0 in tasks that are numbers.

    Args:
        train: N patients with targets.
        out_of_fold: (N, T) probabilities by the member that was not fitted on the patient.
        cells: for each member, the n rows of the patients held out from it, and (n, F) standardised cells.
    """
    assert train.targets is not None
    labels = train.targets.labels.numpy()
    weights = all_known_weights(train.layout, train.targets, train.targets)
    groups = group_numbers(train.groups)
    recalibration = Recalibration.fit(out_of_fold, labels, weights, groups, train.layout.families)
    p = recalibration.apply(Prediction(torch.from_numpy(out_of_fold))).probability
    known = (labels >= 0) & np.isfinite(p)
    residual = np.where(known, weights * (labels - p), 0.0)
    variance = np.where(known, weights * p * (1 - p), 0.0)
    residuals = (
        HeldOutResiduals(x, residual[rows], variance[rows], None if groups is None else groups[rows])
        for rows, x in cells
    )
    found = estimate_misfit(residuals, labels.shape[1])
    square = np.array(recalibration.slope) ** 2
    return Misfit(
        tuple((np.array(found.linear) / square).tolist()),
        tuple((np.array(found.quadratic) / square).tolist()),
    )


def estimate_misfit(held_out: Iterable[HeldOutResiduals], tasks: int) -> Misfit:
    """Regress products of residuals on those that an error of the logit would give."""
    from scipy.optimize import nnls

    square, product = np.zeros((tasks, len(POWERS), len(POWERS))), np.zeros((tasks, len(POWERS)))
    for one in held_out:
        rows = np.unique(np.linspace(0, len(one.cells) - 1, min(MOST, len(one.cells))).astype(int))
        x = one.cells[rows]
        similar = (x @ x.T).astype(float) / max(1, x.shape[1])
        np.fill_diagonal(similar, 0.0)  # pairs of two patients
        if one.groups is not None:  # of two groups
            similar[one.groups[rows, None] == one.groups[rows]] = 0.0
        kernels = [similar**power for power in POWERS]
        for task in range(tasks):
            e, v = one.residual[rows, task], one.variance[rows, task]
            # Least squares with the weight 1 / Var(e_i e_j) = 1 / (v_i v_j).
            product[task] += [e @ kernel @ e for kernel in kernels]
            square[task] += [[v @ (a * b) @ v for b in kernels] for a in kernels]
    found = np.zeros((tasks, len(POWERS)))
    for task in range(tasks):
        scale = np.sqrt(np.maximum(np.diagonal(square[task]), 1e-30))
        root = np.linalg.cholesky(square[task] / np.outer(scale, scale) + 1e-9 * np.eye(len(POWERS)))
        found[task] = nnls(root.T, np.linalg.solve(root, product[task] / scale))[0] / scale
    return Misfit(tuple(found[:, 0].tolist()), tuple(found[:, 1].tolist()))
