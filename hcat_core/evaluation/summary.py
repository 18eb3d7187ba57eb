"""The summary of a finished run: one record, and the JSON document made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from hcat_core.data.data_quality import QualityChecks
from hcat_core.data.leakage import LeakCheck
from hcat_core.evaluation.analysis import ModalityAnalysis, PatternScores
from hcat_core.evaluation.baselines import BaselineScores
from hcat_core.evaluation.cohort_counts import CohortCounts
from hcat_core.evaluation.gates import GateSummary
from hcat_core.evaluation.imputation_quality import ImputationAnalysis
from hcat_core.evaluation.other_baselines import OtherBaseline
from hcat_core.evaluation.other_outcomes import OtherScores, others_as_json
from hcat_core.evaluation.other_verdicts import verdict_of_other
from hcat_core.evaluation.scores import TaskScores, tasks_as_json
from hcat_core.evaluation.verdict import Verdict, verdict_of
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.training.checkpoints import Epoch
from hcat_core.training.held_out import HeldOut
from hcat_core.training.residual_weight import ResidualWeight


@dataclass(frozen=True)
class MemberSummary:
    """How one neural training went.

    Attributes:
        epochs: trained.
        stopped_early: the training ended before the recipe's number of epochs was reached.
        best_epoch: the epoch of the best score of held-out patients, by task and for their average; 0 is
            the state before the first one.
        best_validation: the metric that was scored, and its best value by task and for their average.
    """

    epochs: int
    stopped_early: bool
    best_epoch: Mapping[str, int]
    best_validation: Mapping[str, object]


@dataclass(frozen=True)
class TrainingSummary:
    """How the neural trainings of a run went.

    Attributes:
        members: one record per training.
        outcome_informed_imputation: the imputer was trained with the prediction's gradient.
        parameters: number of trained and fixed weights of each member.
        evidence: the component that the network corrects; None for a network that predicts alone.
        correction: by task, the weight of the network's correction of the evidence, and what it gained on
            held-out patients.
    """

    members: Sequence[MemberSummary]
    outcome_informed_imputation: bool
    parameters: int
    evidence: str | None = None
    correction: Mapping[str, ResidualWeight] | None = None

    def as_json(self) -> dict[str, object]:
        """The record for a JSON document; that of a single training has its epochs at the top."""
        members = [asdict(member) for member in self.members]
        how = members[0] if len(members) == 1 else {"members": members}
        document = {
            **how,
            "outcome_informed_imputation": self.outcome_informed_imputation,
            "parameters": self.parameters,
        }
        if self.evidence is not None:
            correction = {task: asdict(weight) for task, weight in (self.correction or {}).items()}
            document |= {"evidence": self.evidence, "correction": correction}
        return document


@dataclass(frozen=True)
class FitSummary:
    """What was fitted in a run.

    Attributes:
        estimator: the component's name.
        thresholds: by task, chosen on the patients of ``held_out``; 0.5 where there are none.
        recalibration: fitted on the patients of ``held_out``.
        held_out: whose outcomes chose the two.
        training: of the neural estimator; None for any other.
        weighted_for_censoring: keys of the recipe's components that were trained with known labels weighted
            by the inverse probability of censoring; none where no times are known.
    """

    estimator: str
    thresholds: Sequence[float]
    recalibration: Recalibration
    held_out: HeldOut
    training: TrainingSummary | None = None
    weighted_for_censoring: Sequence[str] = ()

    def as_json(self) -> dict[str, object]:
        """The record for a JSON document."""
        fitted = {"estimator": self.estimator} if self.training is None else self.training.as_json()
        return {
            **fitted,
            "thresholds": list(self.thresholds),
            "recalibration": {
                name: value
                for name, value in asdict(self.recalibration).items()
                if value or name != "families"
            },
            "held_out": self.held_out,
            "weighted_for_censoring": list(self.weighted_for_censoring),
        }


@dataclass(frozen=True)
class Analysis:
    """What the report shows beyond the scores of each side; None for a part that could not be computed.

    Attributes:
        findings: of the checks of the cohort, in words.
        allowed: names of features that the recipe exempts from the check for leaks.
        leaks: what the check for leaks could look at.
        quality: what the checks of the data could look at.
        patterns: scores of test patients by missingness pattern.
        modalities: what each modality contributes on test patients.
        imputation: quality by modality, on hidden blocks of test patients, beside simple imputers.
        gates: by modality, how far the network relies on measured and on imputed blocks.
        baselines: scores on test patients by baseline and task of an event.
        other_baselines: likewise of other outcomes.
    """

    findings: Sequence[str]
    allowed: Sequence[str]
    leaks: LeakCheck
    quality: QualityChecks
    patterns: Sequence[PatternScores] | None = None
    modalities: ModalityAnalysis | None = None
    imputation: ImputationAnalysis | None = None
    gates: Mapping[str, GateSummary] | None = None
    baselines: Mapping[str, Mapping[str, BaselineScores]] | None = None
    other_baselines: Mapping[str, Mapping[str, OtherBaseline]] | None = None

    def as_json(self) -> dict[str, object]:
        """The record for a JSON document, without the parts that are None."""
        document: dict[str, object] = {
            "leakage": {
                "findings": list(self.findings),
                "allowed": list(self.allowed),
                "checked": asdict(self.leaks),
                "quality_checked": asdict(self.quality),
            }
        }
        if self.patterns is not None:
            document["patterns"] = [pattern.as_json() for pattern in self.patterns]
        if self.modalities is not None:
            document |= self.modalities.as_json()
        if self.imputation is not None:
            document["imputation"] = {n: asdict(quality) for n, quality in self.imputation.model.items()}
            document["imputation_patients"] = {
                "test": self.imputation.patients,
                "closed_form_fitted_on": self.imputation.fitted_on,
            }
            document["imputation_references"] = {
                name: {modality: asdict(quality) for modality, quality in table.items()}
                for name, table in self.imputation.references.items()
            }
        if self.gates is not None:
            document["gates"] = {name: asdict(gates) for name, gates in self.gates.items()}
        if self.baselines is not None:
            document["baselines"] = {name: tasks_as_json(scores) for name, scores in self.baselines.items()}
        if self.other_baselines:
            document["other_baselines"] = {
                name: {outcome: one.as_json() for outcome, one in scored.items()}
                for name, scored in self.other_baselines.items()
            }
        return document


@dataclass(frozen=True)
class RunSummary:
    """Everything that a run reports, in numbers; no patient ids.

    Attributes:
        run: what was fitted.
        metrics: scores of events by side of the split and task.
        data: counts of the cohort.
        environment: versions, device, plugins and the cohort's fingerprint.
        recipe: resolved, as plain values.
        history: every epoch; none for an estimator that is not trained in epochs.
        analysis: a closer look at test patients.
        others: scores of classes and numbers by side of the split and outcome.
    """

    run: FitSummary
    metrics: Mapping[str, Mapping[str, TaskScores]]
    data: CohortCounts
    environment: Mapping[str, Any]
    recipe: Mapping[str, Any]
    history: Sequence[Epoch]
    analysis: Analysis
    others: Mapping[str, Mapping[str, OtherScores]] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[Verdict]:
        """Whether the predictions of each outcome can be used; events come first."""
        baselines, patterns = self.analysis.baselines or {}, self.analysis.patterns or ()
        of_others = self.analysis.other_baselines or {}
        return [
            *(verdict_of(task, one, baselines, patterns) for task, one in self.metrics["test"].items()),
            *(
                verdict_of_other(outcome, one, of_others, patterns)
                for outcome, one in self.others.get("test", {}).items()
            ),
        ]

    def as_json(self) -> dict[str, object]:
        """The document that a run writes, prints under ``--json`` and hands to plugins."""
        others = {side: others_as_json(scores) for side, scores in self.others.items() if scores}
        return {
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "run": self.run.as_json(),
            "metrics": {side: tasks_as_json(scores) for side, scores in self.metrics.items()},
            **({"other_outcomes": others} if others else {}),
            "data": self.data.as_json(),
            "environment": dict(self.environment),
            "recipe": dict(self.recipe),
            "history": [asdict(epoch) for epoch in self.history],
            "analysis": self.analysis.as_json(),
        }
