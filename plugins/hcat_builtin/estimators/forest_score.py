"""The log hazards of a forest over all modalities, as a part of evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hcat_builtin.estimators.outcome_regression import Outcomes
from hcat_builtin.estimators.patient_features import FeatureChoice, PatientFeatures
from hcat_builtin.estimators.survival_forest import outcomes
from hcat_core.cohort import Cohort, Layout

LEAF = 8  # smallest number of patients in a leaf, as of ``survival_forest``
SHARE = 0.2  # of the features, that each split may use
RAREST = 1e-3  # probabilities are kept this far from 0 and 1 before their logarithm is taken


@dataclass(frozen=True)
class Trees:
    """Regression trees as arrays of their nodes, one tree after the other.

    Attributes:
        root: (K,) number of each tree's first node.
        left: (nodes,) number of the node for values up to the threshold; a leaf's own number.
        right: (nodes,) likewise, above it.
        feature: (nodes,) that is compared.
        threshold: (nodes,) in float64.
        value: (nodes,) prediction.
    """

    root: Tensor
    left: Tensor
    right: Tensor
    feature: Tensor
    threshold: Tensor
    value: Tensor

    @classmethod
    def of(cls, forests: Sequence[Any]) -> Trees:
        """The trees of fitted scikit-learn forests with one output."""
        trees = [estimator.tree_ for forest in forests for estimator in forest.estimators_]
        sizes = np.array([tree.node_count for tree in trees])
        root = np.r_[0, sizes.cumsum()[:-1]]
        sides = []
        for children in ("children_left", "children_right"):
            parts = [getattr(tree, children) for tree in trees]
            own = [np.arange(len(part)) for part in parts]
            sides.append(
                np.concatenate(
                    [np.where(p < 0, o, p) + r for p, o, r in zip(parts, own, root, strict=True)]
                )
            )
        arrays = [
            root,
            *sides,
            np.concatenate([np.maximum(tree.feature, 0) for tree in trees]),
            np.concatenate([tree.threshold for tree in trees]),
            np.concatenate([tree.value[:, 0, 0] for tree in trees]),
        ]
        return cls(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n, F) features -> (n,) mean over trees, which is scikit-learn's."""
        cells = torch.from_numpy(x.astype(np.float32)).double()  # as scikit-learn compares them
        node = self.root.expand(len(x), -1)
        while True:
            goes_left = cells.gather(1, self.feature[node]) <= self.threshold[node]
            below = torch.where(goes_left, self.left[node], self.right[node])
            if bool((below == node).all()):
                return np.asarray(self.value[node].mean(dim=1).numpy())
            node = below


class ForestScore:
    """One forest per task, of regression trees on pseudo-observations at the horizon, or on labels.

    The forest is cross-fitted: an equal number of its trees was grown without each fold of the patients, so
    that the score of a training patient without that patient costs nothing more. New patients get the mean
    over all trees.

    Args:
        layout: modalities and tasks.
        trees: number of trees; 0 for no forest.
    """

    def __init__(self, layout: Layout, trees: int) -> None:
        self.layout = layout
        self.trees = trees
        self.features = PatientFeatures(layout, FeatureChoice(None, 16, 64), fill="median")
        self.of_task: dict[int, Trees] = {}

    def fit(self, train: Cohort, fold: np.ndarray, seed: int) -> Tensor:
        """Grow the trees; (N, T) scores of the training patients by trees that were grown without them.

        Args:
            train: N patients with targets.
            fold: (N,) numbers of folds.
            seed: of the trees.
        """
        assert train.targets is not None
        self.of_task = {}
        left_out = torch.zeros((len(train), len(self.layout.tasks)))
        if not self.trees:
            return left_out
        x = self.features.fit(train)
        for column, task in enumerate(self.layout.tasks):
            if not Outcomes.of(train.targets, column).vary:
                continue
            known, y = outcomes(train.targets, column, task.curve_days[-1:])
            target = np.full(len(x), np.nan)
            target[known] = y[:, 0]
            forests = self._cross_fit(x, target, fold, seed, left_out[:, column])
            if forests:
                self.of_task[column] = Trees.of(forests)
        return left_out

    def score(self, cohort: Cohort) -> Tensor:
        """(N, T) log cumulative hazards by the horizon; 0 for a task without trees."""
        result = torch.zeros((len(cohort), len(self.layout.tasks)))
        if self.of_task and len(cohort):
            x = self.features.transform(cohort)
            for column, trees in self.of_task.items():
                result[:, column] = _score(trees.predict(x))
        return result

    @property
    def state(self) -> dict[str, Tensor]:
        """The trees and the statistics of the features, as flat tensors."""
        trees = {
            f"{column}.{name}": tensor
            for column, of_task in self.of_task.items()
            for name, tensor in vars(of_task).items()
        }
        return trees | {f"features.{name}": tensor for name, tensor in self.features.state.items()}

    @state.setter
    def state(self, state: dict[str, Tensor]) -> None:
        prefix = "features."
        self.features.state = {k.removeprefix(prefix): t for k, t in state.items() if k.startswith(prefix)}
        names = [name for name in state if not name.startswith(prefix)]
        self.of_task = {
            column: Trees(**{n.split(".")[1]: state[n] for n in names if n.startswith(f"{column}.")})
            for column in sorted({int(name.split(".")[0]) for name in names})
        }

    def _cross_fit(
        self, x: np.ndarray, target: np.ndarray, fold: np.ndarray, seed: int, left_out: Tensor
    ) -> list[Any]:
        """Grow one task's forests, one a fold; ``left_out`` (N,) gets the scores of patients left out."""
        from sklearn.ensemble import RandomForestRegressor

        numbers = np.unique(fold)
        forests = []
        for number in numbers:
            rows, own = np.isfinite(target) & (fold != number), fold == number
            if not rows.any():
                continue
            forest = RandomForestRegressor(
                n_estimators=max(1, self.trees // len(numbers)),
                min_samples_leaf=LEAF,
                max_features=SHARE,
                random_state=seed + int(number),
                n_jobs=1,
            )
            forests.append(forest.fit(x[rows], target[rows]))
            left_out[torch.from_numpy(own)] = _score(forest.predict(x[own]))
        return forests


def _score(probability: np.ndarray) -> Tensor:
    """(n,) logarithm of the cumulative hazard that gives event probabilities (n,)."""
    p = np.clip(probability, RAREST, 1 - RAREST)
    return torch.from_numpy(np.log(-np.log1p(-p))).float()
