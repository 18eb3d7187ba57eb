"""What one imputer scored in one setting, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from hcat_core.experiments.compare_imputers.settings import Setting


@dataclass(frozen=True)
class BlockScores:
    """Scores of the hidden cells of one modality; None where there are no such cells."""

    r2: float | None
    crps: float | None
    coverage_90: float | None


@dataclass(frozen=True)
class PatternScores:
    """Scores of the hidden cells of the patients who share one pattern of missing modalities."""

    patients: int
    r2: float | None
    crps: float | None
    coverage_90: float | None


@dataclass(frozen=True)
class ImputationScores:
    """Scores of the hidden cells of all scored patients; None where there are no such cells.

    Attributes:
        r2: against the training mean.
        crps: continuous ranked probability score, in standard deviations of the training patients.
        coverage_90: share of continuous cells within their 90 % interval.
        coverage_50: the same of the 50 % interval.
        width_90: mean width of the 90 % interval, in standard deviations.
        hidden_cells: how many were scored.
        by_modality: by the modality's name.
        brier_binary: mean squared error of cells that take two values, on their own scale.
        by_pattern: by the names of the measured modalities, joined with ``+``.
        energy_distance: between true and drawn blocks, the mean over modalities.
    """

    r2: float | None
    crps: float | None
    coverage_90: float | None
    coverage_50: float | None
    width_90: float | None
    hidden_cells: int
    by_modality: Mapping[str, BlockScores]
    brier_binary: float | None
    by_pattern: Mapping[str, PatternScores]
    energy_distance: float | None

    def as_json(self) -> dict[str, Any]:
        """Plain values; ``brier_binary`` only where there are binary cells."""
        document = asdict(self)
        if self.brier_binary is None:
            del document["brier_binary"]
        return document


@dataclass(frozen=True)
class ImputerResult:
    """One imputer in one setting: its scores, or the error that stopped it.

    Attributes:
        name: of the imputer, or of a limit.
        setting: the cohort and how blocks are hidden in it.
        error: why there are no scores.
        scores: of the hidden cells.
        auc: by task, test AUC of a linear probe on the imputed cells.
        fit_seconds: time to fit; None for a limit, which is not fitted.
        transform_seconds: time to impute the scored patients.
    """

    name: str
    setting: Setting
    error: str | None = None
    scores: ImputationScores | None = None
    auc: Mapping[str, float] = field(default_factory=dict)
    fit_seconds: float | None = None
    transform_seconds: float | None = None

    @property
    def label(self) -> str:
        """Which job this is, for a progress line."""
        return f"{self.name}, {self.setting.mechanism}, seed {self.setting.seed}"

    @property
    def score(self) -> str:
        """The R2 of the hidden cells, for a progress line."""
        r2 = None if self.scores is None else self.scores.r2
        return "" if r2 is None else f"  R2 {r2:.3f}"

    @property
    def mean_auc(self) -> float | None:
        """Mean AUC over tasks; None where no task has one."""
        return sum(self.auc.values()) / len(self.auc) if self.auc else None

    def named(self, name: str) -> Self:
        """The same result under another name."""
        return replace(self, name=name)

    def as_json(self) -> dict[str, Any]:
        """Plain values; a failed job has a name, a setting and an error alone."""
        document = {"name": self.name, "setting": asdict(self.setting), "error": self.error}
        if self.scores is None:
            return document
        seconds = {"fit_seconds": self.fit_seconds, "transform_seconds": self.transform_seconds}
        auc = {"auc": dict(self.auc)}
        # A limit's keys are in another order, so that files stay equal to those of earlier releases.
        last = {**auc, **seconds} if self.fit_seconds is None else {**seconds, **auc}
        return {**document, **self.scores.as_json(), **last}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of ``as_json``, for a job that did not fail.

        Raises:
            KeyError: for a document that lacks a key.
            TypeError: for one that has another.
        """
        values = {"brier_binary": None, **document}
        setting = Setting(**values.pop("setting"))
        own = {key: values.pop(key) for key in ("name", "error", "auc", "fit_seconds", "transform_seconds")}
        blocks = {name: BlockScores(**scores) for name, scores in values.pop("by_modality").items()}
        patterns = {name: PatternScores(**scores) for name, scores in values.pop("by_pattern").items()}
        scores = ImputationScores(**values, by_modality=blocks, by_pattern=patterns)
        return cls(setting=setting, scores=scores, **own)
