"""Simple predictions of outcomes that are no events, to compare the recipe's own model with.

Beside the baselines of ``evaluation.baselines`` there is a reference for each outcome that needs no model:
for everyone the share of each class, or the mean value, among the training patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hcat_core.cohort import Cohort, Targets
from hcat_core.evaluation.other_outcomes import (
    ClassScores,
    OtherScores,
    classes_of,
    score_others,
    training_mean,
    values_of,
)
from hcat_core.evaluation.scores import ScoringSettings
from hcat_core.interfaces import Prediction
from hcat_core.layout import Outcome
from hcat_core.metrics.classes import class_numbers, paired_macro_auc_difference
from hcat_core.metrics.values import paired_r2_difference

FREQUENCIES, TRAINING_MEAN = "class frequencies", "training mean"
REFERENCES = (FREQUENCIES, TRAINING_MEAN)


@dataclass(frozen=True)
class OtherBaseline:
    """Scores of a baseline's predictions of one outcome.

    Attributes:
        scores: on test patients.
        difference: the macro AUC of the run's own model minus the baseline's, of a number that of R2, with
            the lower and upper end of its 95 % interval; None with few patients.
    """

    scores: OtherScores
    difference: Sequence[float] | None

    @property
    def headline(self) -> float | None:
        """The macro AUC, or R2."""
        return headline_of(self.scores)

    def as_json(self) -> dict[str, object]:
        """The record for a JSON document."""
        return {**self.scores.as_json(), "difference": self.difference}


def headline_of(scores: OtherScores) -> float | None:
    """The macro AUC of classes, or R2 of a number."""
    return scores.auc if isinstance(scores, ClassScores) else scores.r2


def compare_others(
    test: Cohort, predicted: Prediction, baseline: Prediction, settings: ScoringSettings
) -> dict[str, OtherBaseline]:
    """Score a baseline by outcome that is no event, and compare it with ``predicted``.

    Args:
        test: N patients with targets.
        predicted: by the run's own model, of these patients.
        baseline: predictions of the same patients.
        settings: outcomes of training patients, resamples.
    """
    scores = score_others(test, baseline, settings)
    return {
        outcome.name: OtherBaseline(
            scores[outcome.name], _difference(test, predicted, baseline, settings, outcome)
        )
        for outcome in test.layout.outcomes
        if outcome.name in scores
    }


def compare_references(
    test: Cohort, predicted: Prediction, settings: ScoringSettings
) -> dict[str, dict[str, OtherBaseline]]:
    """The references that need no model, by name and outcome; arguments are those of ``compare_others``."""
    if not len(test):
        return {}
    compared = compare_others(test, predicted, _reference(test, settings.train), settings)
    names = {"class": FREQUENCIES, "continuous": TRAINING_MEAN}
    result: dict[str, dict[str, OtherBaseline]] = {}
    for outcome in test.layout.outcomes:
        if outcome.name in compared:
            result.setdefault(names[outcome.kind], {})[outcome.name] = compared[outcome.name]
    return result


def best_other_baseline(
    outcome: str, baselines: Mapping[str, Mapping[str, OtherBaseline]]
) -> tuple[str, OtherBaseline] | None:
    """The fitted baseline with the highest macro AUC, or R2, that was compared; None without any."""
    comparable = [
        (name, scored[outcome])
        for name, scored in baselines.items()
        if name not in REFERENCES and outcome in scored and scored[outcome].difference
    ]
    return max(comparable, key=lambda pair: pair[1].headline or 0.0, default=None)


def _difference(
    test: Cohort, predicted: Prediction, baseline: Prediction, settings: ScoringSettings, outcome: Outcome
) -> list[float] | None:
    resampling = settings.resampling(test)
    if outcome.kind == "class":
        classes = (classes_of(test, one, outcome) for one in (predicted, baseline))
        return paired_macro_auc_difference(next(classes), next(classes), resampling)
    values = (values_of(test, one, outcome, settings.train) for one in (predicted, baseline))
    return paired_r2_difference(next(values), next(values), resampling)


def _reference(test: Cohort, train: Targets) -> Prediction:
    """For each of N patients the share of each class, and the mean value, of the training patients."""
    shape = len(test), len(test.layout.tasks)
    probability, value = np.full(shape, 0.5), np.full(shape, np.nan)
    for outcome, columns in _others(test):
        if outcome.kind == "class":
            label = class_numbers(train.labels[:, columns].numpy())
            share = np.bincount(label[label >= 0], minlength=len(columns))
            probability[:, columns] = share / max(1, share.sum())
        else:
            probability[:, columns] = np.nan
            value[:, columns] = training_mean(train, columns[0])
    return Prediction(torch.from_numpy(probability), value=torch.from_numpy(value))


def _others(cohort: Cohort) -> Iterator[tuple[Outcome, list[int]]]:
    """Outcomes that are no events, with their columns."""
    for outcome in cohort.layout.outcomes:
        if outcome.kind != "event":
            yield outcome, list(outcome.columns)
