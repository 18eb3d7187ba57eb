"""The inputs of a report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.data.splits import Split
from hcat_core.evaluation.summary import RunSummary
from hcat_core.interfaces import Prediction
from hcat_core.metrics.censoring import known_weights


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
    """

    title: str
    recipe: str
    cohort: Cohort
    split: Split
    predicted: Prediction
    summary: RunSummary

    def known_test_outcomes(self, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probabilities, labels and weights (``known_weights``) of one task's test patients.

        Patients with an unknown outcome are left out: three arrays of (n,).
        """
        targets = self.cohort.targets
        assert targets is not None
        rows = self.split.test.numpy()
        labels = targets.labels[:, column].numpy()[rows]
        horizon = self.cohort.layout.tasks[column].horizon_days
        weights = known_weights(targets[self.split.test], column, horizon, targets[self.split.train])
        known = labels >= 0
        p = self.predicted.probability[rows, column]
        return p[known], labels[known].astype(int), weights[known]
