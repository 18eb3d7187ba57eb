"""Choosing rank and number of clusters of a ``FactorMixture`` by CRPS on hidden blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hcat_builtin.imputers.factor_mixture import (
    Evidence,
    FactorMixture,
    Rows,
    block_sums,
    condition,
    moments,
    pattern_sums,
    row_sums,
)
from hcat_builtin.imputers.factor_mixture_fit import (
    Fit,
    TrainingRows,
    begin,
    first_clusters,
    improve,
)
from hcat_builtin.imputers.incomplete_rows import ObservedRows, hide_block, observe
from hcat_core.imputation.scores import gaussian_crps

FIRST_RANK = 16
OTHER_RANKS = (4, 8, 24, 32)  # tried after the first
MOST_CLUSTERS = 8
SHORT = 6  # iterations of EM after which candidates are compared
FINALISTS = 2  # candidates that are fitted until convergence


@dataclass(frozen=True)
class Judge:
    """Rows whose blocks are hidden in turn, to compare models.

    Attributes:
        observed: the rows.
        block: (P,) block of each cell.
        masks: (N, P) 1 where a cell is measured.
        eligible: (N, M) bool, True where a row has the block and at least one other.
    """

    observed: ObservedRows
    block: Tensor
    masks: Tensor
    eligible: Tensor

    @classmethod
    def of(cls, rows: Rows, block: Tensor) -> Judge:
        """Prepare N incomplete rows of standardised cells."""
        observed = observe(rows, block)
        has = observed.has > 0
        eligible = has & (has.sum(dim=1, keepdim=True) > 1)
        return cls(observed, block, rows.masks[rows.pattern], eligible[rows.pattern])


@dataclass(frozen=True)
class HiddenBlock:
    """What a model expects of one block, from the other blocks of the n rows that have it.

    Attributes:
        column: of the block.
        mean, std: (n, D) of each cell.
        truth: (n, D) cells, 0 where not measured.
        measured: (n, D) 1 where a cell is measured.
    """

    column: int
    mean: Tensor
    std: Tensor
    truth: Tensor
    measured: Tensor


@dataclass(frozen=True)
class Candidate:
    """A fit and its CRPS on hidden blocks."""

    fit: Fit
    score: float
    rank: int
    clusters: int


def predict_hidden_blocks(model: FactorMixture, judge: Judge) -> Iterator[HiddenBlock]:
    """Predict each block in turn from the others; sums over the cells of a block are computed once."""
    observed = judge.observed
    parts = [row_sums(model, observed, cells) for cells in observed.slices]
    pull, square = (torch.stack(part).sum(dim=0) for part in zip(*parts, strict=True))
    blocks = block_sums(model, observed.slices)
    for column, cells in enumerate(observed.slices):
        rows = judge.eligible[:, column]
        if not rows.any():
            continue
        hidden = hide_block(observed, column)
        gram, constant = pattern_sums(model, hidden, blocks)
        evidence = Evidence(pull - parts[column][0], square - parts[column][1], gram, constant)
        mean, variance = moments(model.only(cells), condition(model, evidence, hidden))
        yield HiddenBlock(
            column=column,
            mean=mean[rows],
            std=variance[rows].sqrt(),
            truth=observed.cells[rows, cells],
            measured=judge.masks[rows, cells],
        )


def hidden_block_crps(model: FactorMixture, judge: Judge) -> float:
    """Mean CRPS on blocks hidden one at a time, blocks and rows weighted equally; NaN without such rows."""
    scores = []
    for hidden in predict_hidden_blocks(model, judge):
        cells = gaussian_crps(hidden.truth, hidden.mean, hidden.std) * hidden.measured
        scores.append(float((cells.sum(dim=1) / hidden.measured.sum(dim=1)).mean()))
    return sum(scores) / len(scores) if scores else math.nan


@dataclass(frozen=True)
class Search:
    """What candidates are fitted on and compared by.

    Attributes:
        training: rows to fit on.
        judge: rows to compare by.
        iterations: of EM for those that are fitted until convergence, at most.
        seed: of k-means and the randomised SVD.
        progress: receives a line for each candidate.
    """

    training: TrainingRows
    judge: Judge
    iterations: int
    seed: int
    progress: Callable[[str], None]

    def run(self, rank: int | None, clusters: int | None) -> Candidate:
        """The best number of clusters at the first rank, then the best rank at that number."""
        n = len(self.training.observed.cells)
        largest = max(1, n // 4)
        start = improve(
            begin(
                self.training,
                rank or min(FIRST_RANK, largest),
                [torch.ones(n, dtype=torch.bool)],
                self.seed,
            ),
            self.training,
            SHORT,
        )
        found = self._clusters(start, rank or min(FIRST_RANK, largest), clusters)
        best = min(found, key=_score)
        if rank is None:
            members = self._members(start, best.clusters)
            for other in OTHER_RANKS:
                if other <= largest:
                    found.append(self._candidate(other, members))
        finalists = sorted(found, key=_score)[:FINALISTS]
        return min((self._finish(c) for c in finalists), key=_score)

    def _members(self, start: Fit, clusters: int) -> list[Tensor]:
        if clusters == 1:
            return [torch.ones(len(self.training.observed.cells), dtype=torch.bool)]
        return first_clusters(self.training, clusters, self.seed, start.model)

    def _clusters(self, start: Fit, rank: int, clusters: int | None) -> list[Candidate]:
        """Try one cluster more at a time, until two in a row bring no improvement."""
        found: list[Candidate] = []
        n = len(self.training.observed.cells)
        for number in [clusters] if clusters else range(1, MOST_CLUSTERS + 1):
            if clusters is None and 1 < number and n < 10 * number:
                break
            if number == 1:
                found.append(self._scored(start, rank, 1))
            else:
                found.append(self._candidate(rank, self._members(start, number)))
            if number - min(found, key=_score).clusters == 2:
                break
        return found

    def _candidate(self, rank: int, members: list[Tensor]) -> Candidate:
        fit = improve(begin(self.training, rank, members, self.seed), self.training, SHORT)
        return self._scored(fit, rank, len(members))

    def _scored(self, fit: Fit, rank: int, clusters: int) -> Candidate:
        score = hidden_block_crps(fit.model, self.judge)
        self.progress(f"gaussian: {clusters} components, rank {rank}: CRPS {score:.4f} on hidden blocks")
        return Candidate(fit, score, rank, clusters)

    def _finish(self, candidate: Candidate) -> Candidate:
        if candidate.fit.converged:
            return candidate
        fit = improve(candidate.fit, self.training, self.iterations)
        return self._scored(fit, candidate.rank, candidate.clusters)


def _score(candidate: Candidate) -> float:
    return candidate.score
