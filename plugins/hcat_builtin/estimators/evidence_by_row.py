"""The contributions of ``evidence`` as tensor operations alone, which can be traced and exported.

What ``EvidenceEstimator.contributions`` computes with NumPy, for the patients who have a modality, and down
to the leaves that they reach, is computed here for every patient and to the depth of the deepest tree. N
patients, M modalities, D cells of the widest one, T tasks, F features of the forest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hcat_builtin.estimators.forest_score import RAREST, ForestScore, Trees
from hcat_builtin.estimators.modality_pairs import ModalityPairs
from hcat_core.cohort import Cohort
from hcat_core.layout import Layout
from hcat_core.storage.tensor_names import without_prefix

LARGEST = 10.0  # log hazard ratio of one modality, either way


def shared_out(score: Tensor, present: Tensor) -> Tensor:
    """(N, M) each patient's score (N,) in equal parts for the modalities that the patient has."""
    parts = present.double() / present.sum(dim=1, keepdim=True).clamp_min(1)
    return (score.clamp(-LARGEST, LARGEST).unsqueeze(1) * parts).float()


@dataclass(frozen=True)
class FittedEvidence:
    """What was fitted.

    Attributes:
        features: of the regressions, ``PatientFeatures.state`` of all modalities.
        weights: of regressions, forest and pairs, by name.
        forest: of every task.
        pairs: of modalities.
    """

    features: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]
    forest: ForestScore
    pairs: ModalityPairs


class EvidenceByRow(nn.Module):
    """Contributions (N, M, T) of fitted evidence.

    Args:
        fitted: the evidence.
        layout: modalities and tasks.
    """

    def __init__(self, fitted: FittedEvidence, layout: Layout) -> None:
        super().__init__()
        self.weights, self.pairs = fitted.weights, fitted.pairs
        self.tasks = range(len(layout.tasks))
        self.regressions = RegressionsByRow(fitted, layout)
        self.forest = ForestByRow(fitted.forest, layout)

    def forward(self, batch: Cohort) -> Tensor:
        """(N, M, T) log hazard ratios, or logits, around what is usual; 0 for a missing modality."""
        scores, parts = self.forest(batch), []
        for task in self.tasks:
            share, usual = self.weights[f"task_{task}.forest"], self.weights[f"task_{task}.forest_usual"]
            parts.append(shared_out(share * (scores[:, task] - usual), batch.present))
        contributions: Tensor = self.regressions(batch) + torch.stack(parts, dim=2)
        used = [task for task in self.tasks if f"pairs.{task}.weights" in self.weights]
        if not used:
            return contributions
        parts, products = [torch.zeros_like(part) for part in parts], self.pairs.products(batch)
        for task in used:
            weights, usual = (self.weights[f"pairs.{task}.{name}"] for name in ("weights", "usual"))
            parts[task] = shared_out(products @ weights - usual, batch.present)
        return contributions + torch.stack(parts, dim=2)


class RegressionsByRow(nn.Module):
    """(N, M, T) what each modality contributes by itself; principal axes are a part of the weights.

    Args:
        fitted: the evidence.
        layout: modalities and tasks.
    """

    def __init__(self, fitted: FittedEvidence, layout: Layout) -> None:
        super().__init__()
        state, tasks = fitted.weights, range(len(layout.tasks))
        self.cells = StandardCells(fitted.features, layout)
        self.factor = torch.stack([state[f"task_{task}.factor"].float() for task in tasks])
        self.weights = torch.zeros((*layout.cells.shape, len(tasks)), dtype=torch.float64)
        self.usual = torch.zeros((len(layout.widths), len(tasks)), dtype=torch.float64)
        for column, width in enumerate(layout.widths):
            if f"{column}.scale" not in state:
                continue  # no training patient had it
            axes = fitted.features.get(f"{column}.axes")
            for task in tasks:
                weights = state[f"{column}.{task}.weights"] / state[f"{column}.scale"]
                self.weights[column, :width, task] = weights if axes is None else axes.T @ weights
                self.usual[column, task] = state[f"{column}.{task}.usual"]

    def forward(self, batch: Cohort) -> Tensor:
        """The contributions; 0 for a missing modality."""
        score = torch.einsum("nmd,mdt->nmt", self.cells(batch), self.weights) - self.usual
        score = score.clamp(-LARGEST, LARGEST).float() * self.factor
        return torch.where(batch.present.unsqueeze(2), score, 0.0)


class ForestByRow(nn.Module):
    """(N, T) the score of the forest of each task; 0 for a task without trees.

    Args:
        forest: fitted.
        layout: modalities and tasks.
    """

    def __init__(self, forest: ForestScore, layout: Layout) -> None:
        super().__init__()
        self.tasks = len(layout.tasks)
        self.columns = list(forest.of_task)
        if self.columns:
            self.cells = StandardCells(forest.features.state, layout)
            self.features = _features_of_cells(forest.features.state, layout)
            self.trees = TreesByRow.of(list(forest.of_task.values()))

    def forward(self, batch: Cohort) -> Tensor:
        """The scores."""
        result = batch.emb.new_zeros((batch.emb.shape[0], self.tasks))
        if not self.columns:
            return result
        p = self.trees.predict(self.cells(batch).flatten(1) @ self.features).clamp(RAREST, 1 - RAREST)
        return result.index_copy(1, torch.tensor(self.columns), (-(-p).log1p()).log().float())


class StandardCells(nn.Module):
    """(N, M, D) float64 cells as ``PatientFeatures`` standardises them, before principal axes.

    Args:
        state: of ``PatientFeatures``.
        layout: of M modalities.
    """

    def __init__(self, state: Mapping[str, Tensor], layout: Layout) -> None:
        super().__init__()
        self.low = _padded(state, "low", -torch.inf, layout)
        self.high = _padded(state, "high", torch.inf, layout)
        self.mean, self.scale = _padded(state, "mean", 0.0, layout), _padded(state, "scale", 1.0, layout)
        self.middle = _padded(state, "middle", 0.0, layout)
        for column in range(len(layout.widths)):
            if f"{column}.axes" in state:
                self.middle[column] = 0.0

    def forward(self, batch: Cohort) -> Tensor:
        """The cells; what is usual where one was not measured."""
        cells = torch.minimum(torch.maximum(batch.emb.double(), self.low), self.high)
        return torch.where(batch.measured, (cells - self.mean) / self.scale, self.middle)


def _padded(state: Mapping[str, Tensor], name: str, otherwise: float, layout: Layout) -> Tensor:
    """(M, D) of a statistic of every modality; another value on padding and where it has none."""
    result = torch.full(layout.cells.shape, otherwise, dtype=torch.float64)
    for column, width in enumerate(layout.widths):
        if f"{column}.{name}" in state:
            result[column, :width] = state[f"{column}.{name}"]
    return result


def _features_of_cells(state: Mapping[str, Tensor], layout: Layout) -> Tensor:
    """(M * D, F) what cells are multiplied with: each by itself, or the axes of a wide modality."""
    parts = []
    for column, width in enumerate(layout.widths):
        own = without_prefix(f"{column}.", dict(state))
        axes = own["axes"] if "axes" in own else torch.eye(width, dtype=torch.float64)
        cells = axes.new_zeros((*layout.cells.shape, len(axes)))
        cells[column, :width] = axes.T
        parts.append(cells.flatten(0, 1))
    return torch.cat(parts, dim=1)


@dataclass(frozen=True)
class TreesByRow:
    """Trees of several forests, which every row descends to the depth of the deepest leaf.

    Attributes:
        child, feature, threshold, value: of the nodes of all forests, as ``Trees`` has them.
        root: (K,) node of each tree, forest by forest.
        sizes: number of trees of each forest.
        depth: comparisons to the deepest leaf.
    """

    child: Tensor
    feature: Tensor
    threshold: Tensor
    value: Tensor
    root: Tensor
    sizes: tuple[int, ...]
    depth: int

    @classmethod
    def of(cls, forests: Sequence[Trees]) -> TreesByRow:
        """Join forests, and find the depth of their trees."""
        sizes = tuple(int(trees.number) for trees in forests)
        nodes = torch.tensor([len(trees.child) for trees in forests])
        placed = list(zip(forests, sizes, nodes.cumsum(0) - nodes, strict=True))
        child = torch.cat([trees.child.long() + first for trees, _, first in placed])
        root = torch.cat([torch.arange(number) + first for _, number, first in placed])
        level, depth = root, 0
        while len(level := level[child[level] != level]):
            level = torch.cat([child[level], child[level] + 1])
            depth += 1
        feature = torch.cat([trees.feature.long() for trees in forests])
        threshold, value = (torch.cat([getattr(t, n) for t in forests]) for n in ("threshold", "value"))
        return cls(child, feature, threshold, value, root, sizes, depth)

    def predict(self, x: Tensor) -> Tensor:
        """(N, F) features -> (N, forests) means over the trees of each, as ``Trees.predict``."""
        cells = x.float().double()  # as scikit-learn compares them
        node = self.root.expand(cells.shape[0], -1)
        for _ in range(self.depth):
            above = cells.gather(1, self.feature[node]) > self.threshold[node]
            node = self.child[node] + above
        return torch.stack([one.mean(dim=1) for one in self.value[node].split(self.sizes, dim=1)], dim=1)
