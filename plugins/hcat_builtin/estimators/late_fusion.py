"""``late_fusion``: one model per modality, whose predictions are averaged."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hcat_builtin.estimators.nested_fit import fit_copy
from hcat_builtin.estimators.serialisation import load_models, save_models
from hcat_core.cohort import Cohort
from hcat_core.errors import DataError
from hcat_core.interfaces import ALL_KINDS, Estimator, FitContext, Prediction
from hcat_core.layout import CURVE_STEPS, Layout
from hcat_core.storage.tensor_shapes import refuse_other_shapes

FEWEST = 10  # training patients of known outcome with which a modality is used


class LateFusionEstimator:
    """Averages copies of ``model``, each of which is fitted on one modality and the patients who have it.

    For a patient without a modality, the mean prediction of its model over training patients is used. So
    the prediction of a patient of whom little is measured is near the base rate, and one recalibration
    suits every missingness pattern. The mean over the modalities that a patient has would be as far from
    the base rate with one modality as with five.

    A modality is used where at least ten of its training patients have a known outcome of each kind, and
    outcomes differ. Others are left out, because a model of a few patients would count as much as the
    other models.

    Args:
        layout: modalities and tasks.
        model: any estimator, whose copies are fitted.
    """

    refits = True
    outcome_kinds = ALL_KINDS  # those of its model

    def __init__(self, layout: Layout, *, model: Estimator) -> None:
        self.layout = layout
        self.model = model
        self.fitted: dict[str, Estimator] = {}
        self.mean_risk: dict[str, Tensor] = {}

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit a copy for each modality that has enough patients of known outcome.

        Raises:
            ValueError: without targets.
            DataError: where no modality has.
        """
        if train.targets is None:
            raise ValueError("fitting needs patients with targets")
        self.fitted, self.mean_risk = {}, {}
        for name in self.layout.names:
            column = self.layout.names.index(name)
            patients = _only(train[train.present[:, column]], column)
            if _enough_outcomes(patients):
                model = self.fitted[name] = fit_copy(self.model, patients, context)
                self.mean_risk[name] = _risk(model.predict(patients.without_targets())).mean(dim=0)
        if not self.fitted:
            raise DataError(
                "late_fusion cannot be fitted on any modality: of the training patients who have it, at "
                f"least {FEWEST} need a known outcome in each task, and outcomes must differ. Leave "
                "out a task with few known outcomes, or use an estimator of all modalities at once, such "
                "as logistic"
            )

    def predict(self, cohort: Cohort) -> Prediction:
        """(N, T) mean probabilities and values, and (N, T, 12) mean curves where every model has them."""
        total: Tensor | None = None
        for name, model in self.fitted.items():
            column = self.layout.names.index(name)
            has = cohort.present[:, column]
            risk = self.mean_risk[name].expand(len(cohort), -1, -1).clone()
            if has.any():
                risk[has] = _risk(model.predict(_only(cohort[has], column)))
            total = risk if total is None else total + risk
        assert total is not None
        risk = total / len(self.fitted)
        estimate, curve = risk[..., -1], risk[..., :-1].clone()
        numbers = self.layout.numbers
        if bool(curve[..., 0].isnan().all()):
            return Prediction.of_estimate(estimate, numbers)
        probability = Prediction.of_estimate(estimate, numbers).event_probability
        curve[..., -1] = torch.where(curve[..., -1].isnan(), probability, curve[..., -1])
        return Prediction.of_estimate(estimate, numbers, curve)

    def save(self, folder: Path) -> None:
        """Write one folder per modality, and the mean predictions of training patients."""
        for name, model in self.fitted.items():
            (folder / str(self.layout.names.index(name))).mkdir()
            model.save(folder / str(self.layout.names.index(name)))
        save_models(folder, {}, {"usual": torch.stack(list(self.mean_risk.values()))})

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore what ``save`` wrote.

        Raises:
            DataError: for files that are damaged, or not of this recipe and layout.
        """
        self.fitted = {}
        for place, name in enumerate(self.layout.names):
            if (folder / str(place)).is_dir():
                self.fitted[name] = copy.deepcopy(self.model)
                self.fitted[name].load(folder / str(place), context)
        _, state = load_models(folder, self._check)
        self.mean_risk = dict(zip(self.fitted, state["usual"], strict=True))

    def _check(self, models: dict[str, Any], state: dict[str, Tensor]) -> None:
        """Refuse mean predictions of other shapes than those of the modalities that have a folder."""
        if models or not self.fitted:
            raise ValueError("there is no model of a modality")
        refuse_other_shapes(state, {"usual": (len(self.fitted), len(self.layout.tasks), CURVE_STEPS + 1)})


def _enough_outcomes(patients: Cohort) -> bool:
    """Are enough patients' outcomes known, of every outcome, and do they differ?"""
    targets = patients.targets
    assert targets is not None
    for outcome in patients.layout.outcomes:
        columns = list(outcome.columns)
        if outcome.kind == "continuous":
            assert targets.values is not None
            values = targets.values[:, columns[0]]
            known = values[values.isfinite()]
        else:  # of classes, in which column the 1 is
            labels = targets.labels[:, columns]
            known = labels[(labels >= 0).all(dim=1)].long() @ torch.arange(1, len(columns) + 1)
        if len(known) < FEWEST or len(known.unique()) < 2:
            return False
    return True


def _risk(prediction: Prediction) -> Tensor:
    """(N, T, 13) the curve, NaN where there is none, followed by the probability or the value."""
    probability = prediction.estimate.double().unsqueeze(-1)
    curve = prediction.curve
    if curve is None:
        curve = probability.new_full((*probability.shape[:2], CURVE_STEPS), float("nan"))
    return torch.cat([curve.double(), probability], dim=-1)


def _only(cohort: Cohort, column: int) -> Cohort:
    """The patients with every other modality hidden."""
    others = torch.ones_like(cohort.present)
    others[:, column] = False
    return cohort.hide(others)
