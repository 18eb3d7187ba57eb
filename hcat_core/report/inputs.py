"""The inputs of a report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcat_core.cohort import Cohort, Targets
from hcat_core.data.splits import Split
from hcat_core.evaluation.scores import TaskScores
from hcat_core.evaluation.summary import RunSummary
from hcat_core.interfaces import Prediction
from hcat_core.metrics.censoring import known_weights
from hcat_core.metrics.fewest import FEWEST_OF_EACH
from hcat_core.metrics.intervals import Resampling
from hcat_core.metrics.resampling import group_numbers, rarer_outcome
from hcat_core.metrics.survival import timed


@dataclass(frozen=True)
class KnownOutcomes:
    """The n patients of one task whose outcome is known.

    Attributes:
        probability: (n,) predicted.
        label: (n,) 1 event, 0 event-free.
        weights: (n,) of ``known_weights``: these patients represent those censored before the horizon.
        groups: (n,) numbers of groups, whose records are not independent; None without.
    """

    probability: np.ndarray
    label: np.ndarray
    weights: np.ndarray
    groups: np.ndarray | None

    @classmethod
    def of(cls, cohort: Cohort, predicted: Prediction, column: int, train: Targets) -> KnownOutcomes:
        """The patients of a cohort whose outcome of one task is known.

        Args:
            cohort: N patients with outcomes.
            predicted: for them.
            column: the task's.
            train: outcomes for the distribution of censoring.
        """
        assert cohort.targets is not None
        labels = cohort.targets.labels[:, column].numpy()
        weights = known_weights(cohort.targets, column, cohort.layout.tasks[column].horizon_days, train)
        known, groups = labels >= 0, group_numbers(cohort.groups)
        return cls(
            predicted.probability[:, column][known],
            labels[known].astype(int),
            weights[known],
            None if groups is None else groups[known],
        )

    @property
    def rarer(self) -> int:
        """Patients with the rarer outcome; with groups, groups that have such a patient."""
        return rarer_outcome(self.label, self.groups)

    @property
    def few(self) -> bool:
        """Whether they are too few for any measure that takes both outcomes."""
        return self.rarer < FEWEST_OF_EACH

    @property
    def weighted(self) -> bool:
        """Whether they are weighted for censoring: otherwise each counts once."""
        return bool((self.weights != 1).any())


def few(scores: TaskScores) -> bool:
    """Whether scores are of too few patients, or groups, for any measure that takes both outcomes."""
    return scores.rarer_outcome < FEWEST_OF_EACH


@dataclass(frozen=True)
class ReportInputs:
    """A finished run, as its report needs it.

    Attributes:
        title: of the page: the name of the run folder.
        recipe: resolved, as TOML.
        cohort: all patients, with targets.
        split: row numbers of training, validation and test patients.
        predicted: for all patients.
        summary: of the run.
        date: of the run, in words.
        weights: path in the run folder of what was fitted; None where nothing was written.
    """

    title: str
    recipe: str
    cohort: Cohort
    split: Split
    predicted: Prediction
    summary: RunSummary
    date: str
    weights: str | None = None

    @property
    def targets(self) -> Targets:
        """The outcomes of all patients: a run has them."""
        assert self.cohort.targets is not None
        return self.cohort.targets

    @property
    def groups(self) -> np.ndarray | None:
        """(N,) numbers of groups of several records; None where every patient is a group."""
        return group_numbers(self.cohort.groups)

    @property
    def resampling(self) -> Resampling:
        """How the intervals of all patients are computed."""
        resamples = int(self.summary.recipe["evaluation"]["bootstrap"])
        return Resampling(resamples, int(self.summary.recipe["seed"]), self.groups)

    def known_test_outcomes(self, column: int) -> KnownOutcomes:
        """The test patients of one task whose outcome is known."""
        rows = self.split.test
        return KnownOutcomes.of(
            self.cohort[rows], self.predicted[rows.numpy()], column, self.targets[self.split.train]
        )

    def timed(self, column: int) -> bool:
        """Whether times of one task's event are known, of any patient."""
        return bool(timed(self.targets, column).any())
