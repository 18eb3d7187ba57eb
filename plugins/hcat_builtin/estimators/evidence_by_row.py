"""The contributions of ``evidence`` as tensor operations alone, which can be traced and exported.

What ``EvidenceEstimator.contributions`` computes with NumPy, for the patients who have a modality, and down to
the leaves that they reach, is computed here for every patient and to the depth of the deepest tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hcat_builtin.estimators.forest_score import RAREST, ForestScore, Trees
from hcat_builtin.estimators.modality_pairs import ModalityPairs
from hcat_builtin.estimators.patient_features import PatientFeatures
from hcat_core.cohort import Cohort
from hcat_core.storage.tensor_names import without_prefix

LARGEST = 10.0  # log hazard ratio of one modality, either way


def shared_out(score: Tensor, present: Tensor) -> Tensor:
    """(N, M) each patient's score (N,) in equal parts for the modalities that the patient has."""
    parts = present.double() / present.sum(dim=1, keepdim=True).clamp_min(1)
    return (score.clamp(-LARGEST, LARGEST).unsqueeze(1) * parts).float()


@dataclass(frozen=True)
class FittedEvidence:
    """What was fitted: features by modality, forest, pairs of modalities, and weights by name."""

    features: list[PatientFeatures]
    forest: ForestScore
    pairs: ModalityPairs
    state: Mapping[str, Tensor]


class EvidenceByRow(nn.Module):
    """Contributions (N, M, T) of fitted evidence to T tasks.

    Args:
        fitted: the evidence.
        tasks: T.
    """

    def __init__(self, fitted: FittedEvidence, tasks: int) -> None:
        super().__init__()
        self.fitted = fitted
        self.tasks = range(tasks)
        self.trees = {column: TreesByRow.of(trees) for column, trees in fitted.forest.of_task.items()}

    def forward(self, batch: Cohort) -> Tensor:
        """(N, M, T) log hazard ratios, or logits, around what is usual; 0 for a missing modality."""
        columns = [self._of_modality(batch, column) for column in range(batch.present.shape[1])]
        contributions = torch.stack(columns, dim=1)
        return contributions + self._of_forest(batch) + self._of_pairs(batch)

    def _of_modality(self, batch: Cohort, column: int) -> Tensor:
        """(N, T) what one modality contributes by itself."""
        state = self.fitted.state
        if f"{column}.scale" not in state:
            return batch.emb.new_zeros((batch.emb.shape[0], len(self.tasks)))
        x = features_by_row(self.fitted.features[column], batch) / state[f"{column}.scale"]
        scores = []
        for task in self.tasks:
            score = x @ state[f"{column}.{task}.weights"] - state[f"{column}.{task}.usual"]
            scores.append(score.clamp(-LARGEST, LARGEST).float() * state[f"task_{task}.factor"])
        return torch.where(batch.present[:, column, None], torch.stack(scores, dim=1), 0.0)

    def _of_forest(self, batch: Cohort) -> Tensor:
        """(N, M, T) the score of the forest of each task, in equal parts for the patient's modalities."""
        forest, state = self.fitted.forest, self.fitted.state
        x = features_by_row(forest.features, batch) if forest.of_task else batch.emb[:, 0]
        parts = []
        for task in self.tasks:
            score = batch.emb.new_zeros(batch.emb.shape[0])
            if task in forest.of_task:
                p = self.trees[task].predict(x).clamp(RAREST, 1 - RAREST)
                score = (-(-p).log1p()).log().float()
            score = state[f"task_{task}.forest"] * (score - state[f"task_{task}.forest_usual"])
            parts.append(shared_out(score, batch.present))
        return torch.stack(parts, dim=2)

    def _of_pairs(self, batch: Cohort) -> Tensor:
        """(N, M, T) what products of two modalities add, in equal parts for the patient's modalities."""
        state = self.fitted.state
        parts = [torch.zeros_like(batch.quality) for _ in self.tasks]
        used = [task for task in self.tasks if f"pairs.{task}.weights" in state]
        products = self.fitted.pairs.products(batch) if used else batch.quality
        for task in used:
            score = products @ state[f"pairs.{task}.weights"] - state[f"pairs.{task}.usual"]
            parts[task] = shared_out(score, batch.present)
        return torch.stack(parts, dim=2)


def features_by_row(features: PatientFeatures, batch: Cohort) -> Tensor:
    """(N, F) float64: ``PatientFeatures.transform`` of a batch, for features without columns of absence."""
    parts = []
    for column in features.columns:
        state = without_prefix(f"{column}.", features.state)
        width = features.widths[column]
        cells, measured = batch.emb[:, column, :width].double(), batch.measured[:, column, :width]
        if "low" in state:
            cells = torch.minimum(torch.maximum(cells, state["low"]), state["high"])
        cells = (cells - state["mean"]) / state["scale"]
        if "axes" in state:  # its scores are 0, the mean, where the modality is missing
            parts.append(torch.where(measured, cells, 0.0) @ state["axes"].T)
        else:
            parts.append(torch.where(measured, cells, state["middle"]))
    return torch.cat(parts, dim=1)


@dataclass(frozen=True)
class TreesByRow:
    """``Trees`` that every row descends to the depth of the deepest leaf.

    Attributes:
        trees: the arrays of their nodes.
        number: K trees.
        depth: comparisons to the deepest leaf.
    """

    trees: Trees
    number: int
    depth: int

    @classmethod
    def of(cls, trees: Trees) -> TreesByRow:
        """Find the depth of the trees."""
        child, number = trees.child.long(), int(trees.number)
        level, depth = torch.arange(number), 0
        while len(level := level[child[level] != level]):
            level = torch.cat([child[level], child[level] + 1])
            depth += 1
        return cls(trees, number, depth)

    def predict(self, x: Tensor) -> Tensor:
        """(N, F) features -> (N,) mean over trees, as ``Trees.predict``."""
        cells = x.float().double()  # as scikit-learn compares them
        feature, child = self.trees.feature.long(), self.trees.child.long()
        node = torch.arange(self.number).expand(cells.shape[0], -1)
        for _ in range(self.depth):
            above = cells.gather(1, feature[node]) > self.trees.threshold[node]
            node = child[node] + above
        return self.trees.value[node].mean(dim=1)
