"""``late_fusion``: one model a modality, their probabilities averaged over what a patient has."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from hcat_core.cohort import Cohort, Layout
from hcat_core.interfaces import Estimator, FitContext, Prediction


class LateFusionEstimator:
    """Copies of ``model``, each fitted on the patients who have its modality and shown nothing else.

    Args:
        layout: modalities and tasks.
        model: any estimator.
    """

    refits = True

    def __init__(self, layout: Layout, *, model: Estimator) -> None:
        self.layout = layout
        self.model = model
        self.fitted: dict[str, Estimator] = {}

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit a copy for each modality that any training patient has."""
        self.fitted = {}
        for name in self.layout.names:
            own = self._alone(train, name)
            if len(own):
                self.fitted[name] = copy.deepcopy(self.model)
                self.fitted[name].fit(own, self._alone(validation, name), context)

    def predict(self, cohort: Cohort) -> Prediction:
        """Mean probability, and mean curve, over the modalities that a patient has; the rest of the
        models speak where a patient has none that was fitted."""
        names = list(self.fitted)
        found = [self.fitted[name].predict(_only(cohort, self.layout.names.index(name))) for name in names]
        present = torch.stack([cohort.present[:, self.layout.names.index(name)] for name in names], dim=1)
        present = torch.where(present.any(dim=1, keepdim=True), present, True).double()
        weights = present / present.sum(dim=1, keepdim=True)
        probability = torch.stack([p.event_probability.double() for p in found], dim=1)
        curve = None
        if all(p.curve is not None for p in found):
            curves = torch.stack([p.curve for p in found if p.curve is not None], dim=1)
            curve = (curves * weights[:, :, None, None]).sum(dim=1)
        return Prediction((probability * weights.unsqueeze(-1)).sum(dim=1), curve)

    def save(self, folder: Path) -> None:
        """A folder a modality."""
        for name, model in self.fitted.items():
            (folder / str(self.layout.names.index(name))).mkdir()
            model.save(folder / str(self.layout.names.index(name)))

    def load(self, folder: Path, context: FitContext) -> None:
        """What ``save`` wrote."""
        self.fitted = {}
        for place, name in enumerate(self.layout.names):
            if (folder / str(place)).is_dir():
                self.fitted[name] = copy.deepcopy(self.model)
                self.fitted[name].load(folder / str(place), context)

    def _alone(self, cohort: Cohort, name: str) -> Cohort:
        column = self.layout.names.index(name)
        return _only(cohort[cohort.present[:, column]], column)


def _only(cohort: Cohort, column: int) -> Cohort:
    others = torch.ones_like(cohort.present)
    others[:, column] = False
    return cohort.hide(others)
