"""One number for how good the predictions of an outcome are: what tables of many rows show.

It is the AUC of an event, the macro AUC of classes, and R2 of a number. A mean over outcomes is that of the
AUCs: R2 is on another scale (0, and not 0.5, is no skill), and counts only where all outcomes are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.evaluation.other_outcomes import training_mean
from hcat_core.evaluation.scores import ScoringSettings
from hcat_core.layout import Outcome, TaskKind
from hcat_core.metrics.censoring import known_weights
from hcat_core.metrics.classes import (
    known_classes,
    macro_auc,
    macro_auc_interval,
    paired_macro_auc_difference,
)
from hcat_core.metrics.discrimination import weighted_auc
from hcat_core.metrics.intervals import Resampling, auc_interval, paired_auc_difference
from hcat_core.metrics.values import KnownValues, paired_r2_difference, r2_influence, r2_interval

HEADLINES: Mapping[TaskKind, str] = {"event": "AUC", "class": "macro AUC", "continuous": "R2"}


@dataclass(frozen=True)
class Headline:
    """An outcome's number and its 95 % interval; None where one is not defined."""

    value: float | None
    interval: tuple[float, float] | None


def averaged(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes whose numbers a mean is made of: all with an AUC, or all if none has."""
    with_auc = [outcome for outcome in outcomes if outcome.kind != "continuous"]
    return with_auc or list(outcomes)


@dataclass(frozen=True)
class Observed:
    """What happened to a group of patients, to score many predictions with.

    Attributes:
        outcome: one of the layout.
        labels: (N, K) of its columns.
        weights: (N,) of ``censoring.known_weights`` of an event.
        values: (N,) of a number.
        training_mean: of a number.
        resampling: of the N patients.
    """

    outcome: Outcome
    labels: np.ndarray
    weights: np.ndarray
    values: np.ndarray
    training_mean: float
    resampling: Resampling

    @classmethod
    def of(cls, cohort: Cohort, settings: ScoringSettings) -> list[Observed]:
        """Of every outcome of N patients with targets."""
        assert cohort.targets is not None
        targets, observed = cohort.targets, []
        for outcome in cohort.layout.outcomes:
            first = outcome.columns[0]
            horizon = cohort.layout.tasks[first].horizon_days
            observed.append(
                cls(
                    outcome,
                    targets.labels[:, list(outcome.columns)].numpy(),
                    known_weights(targets, first, horizon, settings.train),
                    targets.values_of(first),
                    training_mean(settings.train, first),
                    settings.resampling(cohort),
                )
            )
        return observed

    def difference(self, estimate: np.ndarray, other: np.ndarray) -> tuple[float, float] | None:
        """The paired 95 % interval of the number of predictions (N, T) minus that of others.

        None where there are too few patients.
        """
        both = [one[:, list(self.outcome.columns)] for one in (estimate, other)]
        if self.outcome.kind == "event":
            first, second = (one[:, 0] for one in both)
            found = paired_auc_difference(first, second, self.labels[:, 0], self.weights, self.resampling)
        elif self.outcome.kind == "class":
            classes = [known_classes(one, self.labels, self.resampling.groups) for one in both]
            found = paired_macro_auc_difference(classes[0], classes[1], self.resampling)
        else:
            values = [self._known_values(one[:, 0]) for one in both]
            found = paired_r2_difference(values[0], values[1], self.resampling)
        return None if found is None else (found[1], found[2])

    def headline(self, estimate: np.ndarray) -> Headline:
        """The outcome's number for predictions (N, T): probabilities, and values of numbers."""
        own = estimate[:, list(self.outcome.columns)]
        if self.outcome.kind == "class":
            known = known_classes(own, self.labels, self.resampling.groups)
            found = macro_auc(known)
            return Headline(
                None if found is None else found.auc, macro_auc_interval(known, self.resampling)
            )
        if self.outcome.kind == "continuous":
            return self._r2(own[:, 0])
        scored = (own[:, 0], self.labels[:, 0], self.weights)
        return Headline(weighted_auc(*scored), auc_interval(*scored, self.resampling))

    def _r2(self, predicted: np.ndarray) -> Headline:
        values = self._known_values(predicted)
        found = r2_influence(values)
        return Headline(None if found is None else found.r2, r2_interval(values, self.resampling))

    def _known_values(self, predicted: np.ndarray) -> KnownValues:
        known, groups = np.isfinite(self.values), self.resampling.groups
        none = np.full(int(known.sum()), np.nan)
        return KnownValues(
            self.values[known],
            predicted[known],
            none,
            none,
            self.training_mean,
            None if groups is None else groups[known],
        )
