"""The log hazards of a forest over all modalities, as a part of evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hcat_builtin.estimators.forest_growing import grow
from hcat_builtin.estimators.outcome_regression import Outcomes
from hcat_builtin.estimators.patient_features import FEATURES, FeatureChoice, PatientFeatures
from hcat_builtin.estimators.saved_models import check_nodes
from hcat_builtin.estimators.survival_forest import new_forest
from hcat_core.cohort import Cohort
from hcat_core.layout import Layout, Task
from hcat_core.storage.tensor_names import with_prefix, without_prefix
from hcat_core.storage.tensor_shapes import refuse_other_shapes

PATIENTS_AT_ONCE = 128
RAREST = 1e-3  # probabilities are kept this far from 0 and 1 before their logarithm is taken


@dataclass(frozen=True)
class Trees:
    """Regression trees as arrays of their nodes, level by level: the K roots come first.

    Attributes:
        child: (nodes,) number of the node for values up to the threshold, which the node for values above
            it follows; a leaf's own number.
        feature: (nodes,) that is compared.
        threshold: (nodes,) in float64; infinite in leaves.
        value: (nodes,) prediction.
        number: () K.
    """

    child: Tensor
    feature: Tensor
    threshold: Tensor
    value: Tensor
    number: Tensor

    @classmethod
    def of(cls, forests: Sequence[Any]) -> Trees:
        """The trees of fitted scikit-learn forests with one output."""
        trees = [estimator.tree_ for forest in forests for estimator in forest.estimators_]
        sizes = np.array([tree.node_count for tree in trees])
        root = np.r_[0, sizes.cumsum()[:-1]]
        left, right = (
            np.concatenate([getattr(t, side) + r for t, r in zip(trees, root, strict=True)])
            for side in ("children_left", "children_right")
        )
        feature = np.concatenate([tree.feature for tree in trees])
        threshold = np.concatenate([tree.threshold for tree in trees])
        value = np.concatenate([tree.value[:, 0, 0] for tree in trees])
        is_leaf = feature < 0
        level, order = root, [root]
        while len(level):
            inner = level[~is_leaf[level]]
            level = np.stack([left[inner], right[inner]], axis=1).ravel()
            order.append(level)
        old = np.concatenate(order)
        new = np.empty(len(old), dtype=np.int32)
        new[old] = np.arange(len(old))
        own = np.arange(len(old), dtype=np.int32)
        arrays = [
            np.where(is_leaf[old], own, new[np.where(is_leaf, 0, left)[old]]).astype(np.int32),
            np.maximum(feature, 0)[old].astype(np.int32),
            np.where(is_leaf, np.inf, threshold)[old],
            value[old],
            np.array(len(trees)),
        ]
        return cls(*(torch.from_numpy(array) for array in arrays))

    def check(self, features: int) -> None:
        """Refuse arrays from a file that are not trees over this number of features.

        Raises:
            ValueError: naming what does not fit.
        """
        arrays = {name: tensor.numpy() for name, tensor in vars(self).items()}
        number, child = arrays.pop("number"), arrays["child"]
        if number.ndim or any(a.ndim != 1 or len(a) != len(child) for a in arrays.values()):
            raise ValueError("the arrays of a forest have different lengths")
        if any(a.dtype.kind not in "iu" for a in (number, child, arrays["feature"])):
            raise ValueError("the numbers of a forest's nodes are no whole numbers")
        is_leaf = child == np.arange(len(child))
        threshold = arrays["threshold"]
        check_nodes((child, child + 1), arrays["feature"], threshold, is_leaf, features, int(number))
        within = ((arrays["feature"] >= 0) & (arrays["feature"] < features)).all()
        if not within or not (threshold[is_leaf] == np.inf).all() or not np.isfinite(arrays["value"]).all():
            raise ValueError("a leaf of a forest compares a feature, or its prediction is not finite")

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n, F) features -> (n,) mean over trees, which is scikit-learn's."""
        cells = x.astype(np.float32).astype(np.float64)  # as scikit-learn compares them
        parts = [self._predict(torch.from_numpy(part)) for part in _in_parts(cells)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _predict(self, cells: Tensor) -> np.ndarray:
        """(n,) means over trees of a part (n, F)."""
        n, trees = len(cells), int(self.number)
        flat = cells.flatten()
        row = (torch.arange(n, dtype=torch.int32) * cells.shape[1]).repeat_interleave(trees)
        node = torch.arange(trees, dtype=torch.int32).repeat(n)
        while True:
            value = flat.index_select(0, row + self.feature.index_select(0, node))
            above = value > self.threshold.index_select(0, node)
            below = self.child.index_select(0, node) + above
            if torch.equal(below, node):
                return np.asarray(self.value.index_select(0, node).reshape(n, trees).numpy().mean(axis=1))
            node = below


class ForestScore:
    """One forest per task, of regression trees on pseudo-observations at the horizon, labels or values.

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
            outcomes = Outcomes.of(train.targets, column).of_cause(1)  # its score is that of a hazard
            if not outcomes.vary:
                continue
            target = np.full(len(x), np.nan)
            target[outcomes.known] = outcomes.by_horizon(task.horizon_days)
            predicted = np.full(len(x), np.nan)
            forests = self._cross_fit(x, target, fold, seed, predicted)
            if forests:
                self.of_task[column] = Trees.of(forests)
                known = np.isfinite(predicted)
                left_out[torch.from_numpy(known), column] = _score(predicted[known], task)
        return left_out

    def score(self, cohort: Cohort) -> Tensor:
        """(N, T) log cumulative hazards by the horizon, or values; 0 for a task without trees."""
        result = torch.zeros((len(cohort), len(self.layout.tasks)))
        if self.of_task and len(cohort):
            x = self.features.transform(cohort.to(torch.device("cpu")))
            for column, trees in self.of_task.items():
                result[:, column] = _score(trees.predict(x), self.layout.tasks[column])
        return result

    @property
    def state(self) -> dict[str, Tensor]:
        """The trees and the statistics of the features, as flat tensors."""
        parts = [with_prefix(f"{column}.", vars(trees)) for column, trees in self.of_task.items()]
        parts.append(with_prefix(FEATURES, self.features.state))
        return {name: tensor for part in parts for name, tensor in part.items()}

    @state.setter
    def state(self, state: dict[str, Tensor]) -> None:
        self.features.state = without_prefix(FEATURES, state)
        columns = {int(name.split(".")[0]) for name in state if not name.startswith(FEATURES)}
        self.of_task = {column: Trees(**without_prefix(f"{column}.", state)) for column in sorted(columns)}
        if self.of_task or self.features.state:
            refuse_other_shapes(self.features.state, self.features.all_shapes(), "forest")
        for column, trees in self.of_task.items():
            if column not in range(len(self.layout.tasks)):
                raise ValueError(f"the forest has trees of a task {column}")
            trees.check(self.features.number)

    def _cross_fit(
        self, x: np.ndarray, target: np.ndarray, fold: np.ndarray, seed: int, left_out: np.ndarray
    ) -> list[Any]:
        """Grow one task's forests, one a fold; ``left_out`` (N,) gets their predictions of others."""
        numbers = np.unique(fold)
        forests = []
        for number in numbers:
            rows, own = np.isfinite(target) & (fold != number), fold == number
            if not rows.any():
                continue
            forest = new_forest(max(1, self.trees // len(numbers)), seed + int(number))
            forests.append(grow(forest, x[rows], target[rows]))
            left_out[own] = forest.predict(x[own])
        return forests


def _in_parts(cells: np.ndarray) -> Iterator[np.ndarray]:
    """Parts of (N, F) cells that, with a node of every tree for each patient, fit into the cache."""
    for first in range(0, len(cells), PATIENTS_AT_ONCE):
        yield cells[first : first + PATIENTS_AT_ONCE]


def _score(predicted: np.ndarray, task: Task) -> Tensor:
    """(n,) logarithm of the cumulative hazard that gives event probabilities (n,); values as they are."""
    if task.kind == "continuous":
        return torch.from_numpy(predicted).float()
    p = np.clip(predicted, RAREST, 1 - RAREST)
    return torch.from_numpy(np.log(-np.log1p(-p))).float()
