"""``late_fusion``: one model a modality, their probabilities averaged; a missing one says what is usual."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor

from hcat_builtin.estimators.inner import fit_copy
from hcat_builtin.estimators.saved_models import load_models, save_models
from hcat_core.cohort import CURVE_STEPS, Cohort, Layout
from hcat_core.errors import DataError
from hcat_core.interfaces import Estimator, FitContext, Prediction

FEWEST = 10  # training patients of a known outcome, for a modality to have a say


class LateFusionEstimator:
    """Copies of ``model``, each fitted on the patients who have its modality and shown nothing else.

    A patient is predicted the mean over all of them. For a modality that is missing, its model's mean
    prediction of training patients stands in: the less is known, the nearer the answer is to the base rate,
    and one recalibration suits every pattern. A mean over what is there would go as far from the base rate
    for one modality as for five.

    A modality has a say where its training patients can teach: in each task at least ten of them have a
    known outcome, and both outcomes occur. Any other is left out: the model of a handful of patients would
    be as loud as the rest.

    Args:
        layout: modalities and tasks.
        model: any estimator.
    """

    refits = True

    def __init__(self, layout: Layout, *, model: Estimator) -> None:
        self.layout = layout
        self.model = model
        self.fitted: dict[str, Estimator] = {}
        self.usual: dict[str, Tensor] = {}

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit a copy for each modality that can teach.

        Raises:
            ValueError: without targets.
            DataError: where none can.
        """
        if train.targets is None:
            raise ValueError("fitting needs patients with targets")
        self.fitted, self.usual = {}, {}
        for name in self.layout.names:
            own = self._alone(train, name)
            if _teaches(own):
                model = self.fitted[name] = fit_copy(self.model, own, context)
                self.usual[name] = _risk(model.predict(own.without_targets())).mean(dim=0)
        if not self.fitted:
            raise DataError(
                f"no modality can teach late_fusion: of the training patients who have it, {FEWEST} need a "
                "known outcome in each task, and both outcomes must occur. Leave out a task of few "
                "outcomes, or use an estimator of all modalities at once, such as logistic"
            )

    def predict(self, cohort: Cohort) -> Prediction:
        """Mean probability, and mean curve where every model has one."""
        total: Tensor | None = None
        for name, model in self.fitted.items():
            column = self.layout.names.index(name)
            has = cohort.present[:, column]
            risk = self.usual[name].expand(len(cohort), -1, -1).clone()
            if has.any():
                risk[has] = _risk(model.predict(_only(cohort[has], column)))
            total = risk if total is None else total + risk
        assert total is not None
        risk = total / len(self.fitted)
        curve = None if bool(risk[..., :-1].isnan().any()) else risk[..., :-1]
        return Prediction(risk[..., -1], curve)

    def save(self, folder: Path) -> None:
        """A folder a modality, and the usual predictions."""
        for name, model in self.fitted.items():
            (folder / str(self.layout.names.index(name))).mkdir()
            model.save(folder / str(self.layout.names.index(name)))
        save_models(folder, {}, {"usual": torch.stack(list(self.usual.values()))})

    def load(self, folder: Path, context: FitContext) -> None:
        """What ``save`` wrote."""
        self.fitted = {}
        for place, name in enumerate(self.layout.names):
            if (folder / str(place)).is_dir():
                self.fitted[name] = copy.deepcopy(self.model)
                self.fitted[name].load(folder / str(place), context)
        _, state = load_models(folder)
        self.usual = dict(zip(self.fitted, state["usual"], strict=True))

    def _alone(self, cohort: Cohort, name: str) -> Cohort:
        column = self.layout.names.index(name)
        return _only(cohort[cohort.present[:, column]], column)


def _teaches(own: Cohort) -> bool:
    assert own.targets is not None
    events, free = ((own.targets.labels == outcome).sum(dim=0) for outcome in (1, 0))
    return bool(((events > 0) & (free > 0) & (events + free >= FEWEST)).all())


def _risk(prediction: Prediction) -> Tensor:
    """(N, T, H + 1) the curve, NaN where there is none, and the probability behind it."""
    probability = prediction.event_probability.double().unsqueeze(-1)
    curve = prediction.curve
    if curve is None:
        curve = probability.new_full((*probability.shape[:2], CURVE_STEPS), float("nan"))
    return torch.cat([curve.double(), probability], dim=-1)


def _only(cohort: Cohort, column: int) -> Cohort:
    others = torch.ones_like(cohort.present)
    others[:, column] = False
    return cohort.hide(others)
