"""What one recipe scored on one fold, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

MetricValue = object  # a number, the ends of an interval, or scores by name


NAMES = ("rows", "probability", "known_weights", "subsets", "classes", "value", "training_mean")


@dataclass(frozen=True)
class FoldScores:
    """One outcome's scores on a fold's n test patients.

    Attributes:
        metrics: by name; None where a metric is not defined on these patients.
        rows: n rows of the cohort.
        probability: n predicted probabilities of the event; none for another kind of outcome.
        known_weights: n weights, as of ``censoring.known_weights``.
        subsets: AUC, or R2 of a number, with these modalities alone, by their names joined with ``+``.
        classes: n predicted probabilities of each of K classes; none for another kind of outcome.
        value: n predicted values of a number; none for another kind of outcome.
        training_mean: mean value of the patients outside the fold, of a number.
    """

    metrics: Mapping[str, MetricValue]
    rows: Sequence[int] = ()
    probability: Sequence[float] = ()
    known_weights: Sequence[float] = ()
    subsets: Mapping[str, float | None] = field(default_factory=dict)
    classes: Sequence[Sequence[float]] = ()
    value: Sequence[float] = ()
    training_mean: float | None = None

    @property
    def auc(self) -> float | None:
        """Area under the ROC curve, of classes their mean; None where it is not defined."""
        return self.number("auc")

    @property
    def r2(self) -> float | None:
        """R2 of a number; None where it is not defined."""
        return self.number("r2")

    @property
    def headline(self) -> float | None:
        """R2 of a number, else the AUC; None where it is not defined."""
        return self.r2 if "r2" in self.metrics else self.auc

    def number(self, metric: str) -> float | None:
        """A metric that is one number; None where it is not defined."""
        value = self.metrics.get(metric)
        return float(value) if isinstance(value, float | int) else None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        document = {
            **self.metrics,
            "rows": list(self.rows),
            "probability": list(self.probability),
            "known_weights": list(self.known_weights),
            "subsets": dict(self.subsets),
        }
        if self.classes:
            document["classes"] = [list(one) for one in self.classes]
        if self.value:
            document |= {"value": list(self.value), "training_mean": self.training_mean}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of ``as_json``."""
        metrics = dict(document)
        return cls(**{name: metrics.pop(name) for name in NAMES if name in document}, metrics=metrics)


@dataclass(frozen=True)
class FoldResult:
    """One recipe on one fold: what it scored, or the error that stopped it.

    Attributes:
        name: of the recipe.
        repeat: of the folds.
        fold: its number.
        tasks: scores by outcome that has an AUC: events, and classes.
        error: why there are none.
        numbers: scores by outcome that is a number.
    """

    name: str
    repeat: int
    fold: int
    tasks: Mapping[str, FoldScores]
    error: str | None = None
    numbers: Mapping[str, FoldScores] = field(default_factory=dict)

    @property
    def outcomes(self) -> dict[str, FoldScores]:
        """Scores of every outcome."""
        return {**self.tasks, **self.numbers}

    @property
    def label(self) -> str:
        """Which job this is, for a progress line."""
        return f"{self.name}, repeat {self.repeat + 1}, fold {self.fold + 1}"

    @property
    def score(self) -> str:
        """The AUC of each outcome, or R2, for a progress line."""
        found = [(f"{task} AUC", scores.auc) for task, scores in self.tasks.items()]
        found += [(f"{outcome} R2", scores.r2) for outcome, scores in self.numbers.items()]
        return "".join(f"  {name} {value:.3f}" for name, value in found if value is not None)

    def named(self, name: str) -> Self:
        """The same result under another name."""
        return replace(self, name=name)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        document = {
            "name": self.name,
            "repeat": self.repeat,
            "fold": self.fold,
            "tasks": {task: scores.as_json() for task, scores in self.tasks.items()},
            "error": self.error,
        }
        if self.numbers:
            document["numbers"] = {outcome: one.as_json() for outcome, one in self.numbers.items()}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of ``as_json``.

        Raises:
            KeyError: for a document that lacks a key.
        """
        tasks, numbers = (
            {outcome: FoldScores.from_json(scores) for outcome, scores in document.get(key, {}).items()}
            for key in ("tasks", "numbers")
        )
        place = document["name"], document["repeat"], document["fold"]
        return cls(*place, tasks, document["error"], numbers)
