"""What one recipe scored on one fold, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

MetricValue = object  # a number, the ends of an interval, or scores by name


@dataclass(frozen=True)
class FoldScores:
    """One task's scores on a fold's n test patients.

    Attributes:
        metrics: by name; None where a metric is not defined on these patients.
        rows: n rows of the cohort.
        probability: n predicted probabilities of the event.
        known_weights: n weights, as of ``censoring.known_weights``.
        subsets: AUC with these modalities alone, by their names joined with ``+``.
    """

    metrics: Mapping[str, MetricValue]
    rows: Sequence[int] = ()
    probability: Sequence[float] = ()
    known_weights: Sequence[float] = ()
    subsets: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def auc(self) -> float | None:
        """Area under the ROC curve; None where one outcome is missing."""
        return self.number("auc")

    def number(self, metric: str) -> float | None:
        """A metric that is one number; None where it is not defined."""
        value = self.metrics.get(metric)
        return float(value) if isinstance(value, float | int) else None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **self.metrics,
            "rows": list(self.rows),
            "probability": list(self.probability),
            "known_weights": list(self.known_weights),
            "subsets": dict(self.subsets),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of ``as_json``."""
        metrics = dict(document)
        names = ("rows", "probability", "known_weights", "subsets")
        return cls(**{name: metrics.pop(name) for name in names}, metrics=metrics)


@dataclass(frozen=True)
class FoldResult:
    """One recipe on one fold: scores by task, or the error that stopped it."""

    name: str
    repeat: int
    fold: int
    tasks: Mapping[str, FoldScores]
    error: str | None = None

    @property
    def label(self) -> str:
        """Which job this is, for a progress line."""
        return f"{self.name}, repeat {self.repeat + 1}, fold {self.fold + 1}"

    @property
    def score(self) -> str:
        """The AUC of each task, for a progress line."""
        aucs = {task: scores.auc for task, scores in self.tasks.items()}
        return "".join(f"  {task} AUC {auc:.3f}" for task, auc in aucs.items() if auc is not None)

    def named(self, name: str) -> Self:
        """The same result under another name."""
        return replace(self, name=name)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "repeat": self.repeat,
            "fold": self.fold,
            "tasks": {task: scores.as_json() for task, scores in self.tasks.items()},
            "error": self.error,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of ``as_json``.

        Raises:
            KeyError: for a document that lacks a key.
        """
        tasks = {task: FoldScores.from_json(scores) for task, scores in document["tasks"].items()}
        return cls(document["name"], document["repeat"], document["fold"], tasks, document["error"])
