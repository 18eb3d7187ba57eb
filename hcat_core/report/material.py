"""What a report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.data.splits import Split
from hcat_core.interfaces import Prediction
from hcat_core.metrics.survival import known_weights


@dataclass(frozen=True)
class Material:
    """A finished run.

    Attributes:
        title: of the page; the recipe's name.
        recipe: resolved, as TOML.
        cohort: everyone, with targets.
        split: who is on which side.
        predicted: for everyone.
        summary: of the run, as it is written; ``analysis`` may be missing, or any part of it.
    """

    title: str
    recipe: str
    cohort: Cohort
    split: Split
    predicted: Prediction
    summary: Mapping[str, Any]

    def analysis(self, part: str) -> Any:
        """One part of the closer look at test patients, or None."""
        return self.summary.get("analysis", {}).get(part) or None

    def test_known(self, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probabilities, labels and ``known_weights`` of test patients whose outcome of a task is known."""
        targets = self.cohort.targets
        assert targets is not None
        rows = self.split.test.numpy()
        labels = targets.labels[:, column].numpy()[rows]
        horizon = self.cohort.layout.tasks[column].horizon_days
        weights = known_weights(targets[self.split.test], column, horizon, targets[self.split.train])
        known = labels >= 0
        p = self.predicted.probability[rows, column]
        return p[known], labels[known].astype(int), weights[known]
