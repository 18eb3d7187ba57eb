"""A trained run on a cohort that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hcat_core.api.cohort import Cohort
from hcat_core.api.findings import warn_of
from hcat_core.api.html import facts_as_html, paragraph, table_as_html
from hcat_core.api.prediction_frames import prediction_frame
from hcat_core.api.score_frames import headline, others_as_html, score_frame
from hcat_core.runs.external_validation import Evaluation, evaluate_run
from hcat_core.runs.new_patients import read_patients
from hcat_core.runs.trained_run import TrainedRun
from hcat_core.text.counted import counted


@dataclass(frozen=True, repr=False, eq=False)
class CohortEvaluation:
    """Scores of a run on a cohort.

    Attributes:
        evaluation: everything that was scored.
    """

    evaluation: Evaluation

    @property
    def metrics(self) -> pd.DataFrame:
        """Scores of all patients, one row for each outcome; NaN for a score of another kind of outcome."""
        return score_frame(self.document["metrics"], self.document.get("other_outcomes", {}))

    @property
    def groups(self) -> dict[str, pd.DataFrame]:
        """By the name of a grouping: scores, one row for each group and outcome."""
        others = self.document.get("other_groups", {})
        return {
            name: pd.DataFrame.from_dict(
                {
                    (group, outcome): m
                    for group, tasks in groups.items()
                    for outcome, m in (*tasks.items(), *others.get(name, {}).get(group, {}).items())
                },
                orient="index",
            )
            for name, groups in self.document["groups"].items()
        }

    @property
    def predictions(self) -> pd.DataFrame:
        """As of ``TrainedRun.predict``."""
        return prediction_frame(self.evaluation.predictions)

    @property
    def findings(self) -> tuple[str, ...]:
        """What makes the scores doubtful."""
        return tuple(self.evaluation.warnings)

    @property
    def document(self) -> dict[str, Any]:
        """What ``hcat evaluate --json`` prints; no patient ids."""
        return dict(self.evaluation.as_json())

    def __repr__(self) -> str:
        scores = [(f"{task} AUC", m["auc"]) for task, m in self.document["metrics"].items()]
        scores += [headline(name, m) for name, m in self.document.get("other_outcomes", {}).items()]
        found = ", ".join(f"{n} {'not defined' if v is None else format(v, '.3f')}" for n, v in scores)
        return f"Evaluation on {counted(len(self.evaluation.predictions.cohort), 'patient')}: {found}"

    def _repr_html_(self) -> str:
        names = ("patients", "events", "auc", "calibration_slope", "brier")
        rows = [[task, *(m.get(name) for name in names)] for task, m in self.document["metrics"].items()]
        title = f"Evaluation on {counted(len(self.evaluation.predictions.cohort), 'patient')}"
        verdicts = [
            paragraph(f"{one.task}: {one.answer}. {' '.join(one.reasons)}")
            for one in self.evaluation.verdicts
        ]
        events = table_as_html(["task", *names], rows) if rows else ""
        others = others_as_html(self.document.get("other_outcomes", {}))
        return facts_as_html(title, events, others, *verdicts, findings=self.findings)


def evaluation_of(run: TrainedRun, cohort: Cohort, groups: Sequence[str]) -> CohortEvaluation:
    """Read a cohort into the run's layout, and score the run on it; what was found is warned of.

    Raises:
        DataError: for a cohort without outcomes, or of other modalities or tasks.
        UsageError: for a group that is neither a column nor a feature.
    """
    evaluation = evaluate_run(run, read_patients(run, cohort.given.readers, cohort.table), groups)
    warn_of(evaluation.warnings)
    return CohortEvaluation(evaluation)
