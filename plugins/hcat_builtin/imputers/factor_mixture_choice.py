"""Choosing rank and number of clusters of a ``FactorMixture`` by CRPS on hidden blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor

from hcat_builtin.imputers.factor_mixture import (
    FactorMixture,
    PosteriorSums,
    Rows,
    block_sums,
    condition,
    moments,
    pattern_sums,
    row_sums,
    total_of_rows,
)
from hcat_builtin.imputers.factor_mixture_fit import (
    Fit,
    Start,
    TrainingRows,
    begin,
    everyone,
    first_clusters,
    improve,
    principal_directions,
)
from hcat_builtin.imputers.incomplete_rows import ObservedRows, hide_block, observe
from hcat_core.imputation.scores import gaussian_crps

FIRST_RANK = 16
OTHER_RANKS = (4, 8, 24, 32)  # tried after the first
MOST_CLUSTERS = 8
PROBE = 2  # iterations of EM after which two candidates are compared first
SHORT = 6  # and after which they are compared again, where they were close
DECIDED = 0.02  # relative difference of CRPS that no further iteration makes up for
CLOSE = 0.005  # relative difference of CRPS up to which candidates are fitted until they stop improving
FINALISTS = 2  # at most
STEP = 4  # iterations after which such a candidate is scored again
LEAST_GAIN = 1e-4  # of CRPS, relative, for which it is fitted on


@dataclass(frozen=True)
class Judge:
    """Rows whose blocks are hidden in turn, to compare models.

    Attributes:
        observed: the rows.
        masks: (S, P) 1 where a pattern has a measured cell.
        several: (N,) bool, True for rows with at least two blocks.
    """

    observed: ObservedRows
    masks: Tensor
    several: Tensor

    @classmethod
    def of(cls, rows: Rows, block: Tensor) -> Judge:
        """Prepare N incomplete rows of standardised cells."""
        observed = observe(rows, block)
        return cls(observed, rows.masks, observed.has.sum(dim=1)[rows.pattern] > 1)


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
    """A fit and its CRPS on hidden blocks, now and after the first iterations."""

    fit: Fit
    rank: int
    score: float
    first_score: float

    @property
    def clusters(self) -> int:
        """K."""
        return len(self.fit.model.weight)


def predict_hidden_blocks(model: FactorMixture, judge: Judge) -> Iterator[HiddenBlock]:
    """Predict each block in turn from the others; sums over the cells of a block are computed once."""
    observed = judge.observed
    sums = block_sums(model, observed.slices)
    parts = [row_sums(model, block) for block in observed.blocks]
    pull, square = total_of_rows(observed, parts)
    for column, (block, (of_pull, of_square)) in enumerate(zip(observed.blocks, parts, strict=True)):
        among = judge.several[block.row]
        if not among.any():
            continue
        hidden = hide_block(observed, column)
        left = PosteriorSums(
            pull.index_add(0, block.row, of_pull, alpha=-1),
            square.index_add(0, block.row, of_square, alpha=-1),
            *pattern_sums(model, hidden, sums),
        )
        factors = condition(model, left, hidden).rows(block.row[among])
        mean, variance = moments(model.only(block.slice), factors)
        yield HiddenBlock(
            column=column,
            mean=mean,
            std=variance.sqrt(),
            truth=block.cells[among],
            measured=judge.masks[observed.pattern[block.row[among]], block.slice],
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
        iterations: of EM, at most.
        seed: of k-means and the randomised SVD.
        progress: receives a line for each candidate.
    """

    training: TrainingRows
    judge: Judge
    iterations: int
    seed: int
    progress: Callable[[str], None]

    def run(self, rank: int | None, clusters: int | None) -> Candidate:
        """Find the best number of clusters at the first rank, then the best rank at that number.

        Args:
            rank: the only one to use; None to choose it.
            clusters: the only number to use; None to choose it.
        """
        largest = max(1, self.training.n // 4)
        first = rank or min(FIRST_RANK, largest)
        one = self._probe(self._start(everyone(self.training), first), first)
        found = self._try_numbers(one, clusters)
        others = [] if rank else [other for other in OTHER_RANKS if other <= largest]
        if others:
            start = self._start(self._members(one, _best(found).clusters), max(others))
            for other in others:
                found = self._compare(found, self._probe(start, other))
        most = (1 + CLOSE) * _best(found).score
        close = [candidate for candidate in found if not candidate.score > most]
        return _best([self._finish(c) for c in sorted(close, key=_score)[:FINALISTS]])

    def _try_numbers(self, one: Candidate, clusters: int | None) -> list[Candidate]:
        """Try one cluster more at a time, until two in a row bring no improvement."""
        if clusters:
            numbers = [clusters]
        else:
            most = min(MOST_CLUSTERS, self.training.n // 10)
            numbers = list(range(1, max(1, most) + 1))
        found: list[Candidate] = []
        for number in numbers:
            if number == 1:
                found = [one]
            else:
                start = self._start(self._members(one, number), one.rank)
                found = self._compare(found, self._probe(start, one.rank))
            if number - _best(found).clusters == 2:
                break
        return found

    def _members(self, one: Candidate, clusters: int) -> list[Tensor]:
        if clusters == 1:
            return everyone(self.training)
        return first_clusters(self.training, clusters, self.seed, one.fit.model)

    def _start(self, members: list[Tensor], rank: int) -> Start:
        return principal_directions(self.training, members, rank, self.seed)

    def _probe(self, start: Start, rank: int) -> Candidate:
        fit = improve(begin(self.training, start, rank), self.training, min(PROBE, self.iterations))
        score = hidden_block_crps(fit.model, self.judge)
        self.progress(
            f"gaussian: components {len(start.weight)}, rank {rank}: CRPS {score:.4f} on hidden blocks"
        )
        return Candidate(fit, rank, score, score)

    def _compare(self, found: list[Candidate], new: Candidate) -> list[Candidate]:
        """Add a candidate; where it is close to the best one, both are fitted on before they compete."""
        if not found:
            return [new]
        best = _best(found)
        if abs(new.first_score - best.first_score) > DECIDED * best.first_score:
            return [*found, new]
        longer = self._fit_on(best, SHORT)
        found = [longer if candidate is best else candidate for candidate in found]
        return [*found, self._fit_on(new, SHORT)]

    def _finish(self, candidate: Candidate) -> Candidate:
        """Fit a candidate until its CRPS stops improving, or EM converges where there is no CRPS."""
        if math.isnan(candidate.score):
            return self._fit_on(candidate, self.iterations)
        while True:
            later = self._fit_on(candidate, len(candidate.fit.log_likelihood) + STEP)
            if not later.score < (1 - LEAST_GAIN) * candidate.score:
                return _best([candidate, later])
            candidate = later

    def _fit_on(self, candidate: Candidate, iterations: int) -> Candidate:
        """The same candidate after so many iterations in all."""
        done = len(candidate.fit.log_likelihood)
        left = min(iterations, self.iterations) - done
        if left <= 0 or candidate.fit.converged:
            return candidate
        fit = improve(candidate.fit, self.training, left)
        return replace(candidate, fit=fit, score=hidden_block_crps(fit.model, self.judge))


def _best(candidates: list[Candidate]) -> Candidate:
    return min(candidates, key=_score)


def _score(candidate: Candidate) -> float:
    return candidate.score
