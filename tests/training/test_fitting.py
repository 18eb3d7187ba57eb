"""Recalibration and thresholds from inner folds."""

import numpy as np
import pytest
import torch

from hcat_core.interfaces import FitContext, Prediction
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.training import fitting
from hcat_core.training.fitting import Fitted, calibrated_on, out_of_fold


@pytest.fixture(scope="module")
def cohort():
    return to_cohort(generate(SynthSpec(patients=100, widths={"a": 3, "b": 3}, seed=1)))


class Blind:
    """Has every way to predict, and fails where targets are in sight."""

    def predict(self, patients):
        assert patients.targets is None, "targets are in sight of the estimator"
        return Prediction(torch.full((len(patients), 2), 0.4, dtype=torch.float64))

    def predict_once(self, patients):
        return self.predict(patients)

    def predict_members(self, patients):
        return [self.predict(patients), self.predict(patients)]


@pytest.mark.parametrize("way", ["predict", "predict_once", "predict_members"])
def test_no_estimator_sees_targets_when_it_predicts(cohort, way):
    fitted = Fitted(Blind(), Recalibration.none(2), [0.5, 0.5], False)
    found = getattr(fitted, way)(cohort)
    assert len(getattr(found, "probability", found)) in (len(cohort), 2)


def test_no_estimator_sees_targets_when_it_is_recalibrated(cohort):
    assert calibrated_on(cohort, Blind()).recalibration != Recalibration.none(2)


class Counted:
    """Predicts the number of patients that it was fitted on; fails for these, and for targets in sight."""

    fits = 0

    def fit(self, train, validation, context):
        Counted.fits += 1
        self.number, self.ids = len(train), set(train.patient_ids)

    def predict(self, patients):
        assert patients.targets is None
        assert not self.ids & set(patients.patient_ids), "predicts patients that it was fitted on"

        return Prediction(torch.full((len(patients), 2), float(self.number), dtype=torch.float64))


def folds_fitted(cohort, monkeypatch, enough):
    monkeypatch.setattr(fitting, "ENOUGH_HELD_OUT", enough)
    Counted.fits = 0
    probability = out_of_fold(Counted, cohort, FitContext(0)).probability
    return Counted.fits, int(np.isfinite(probability).all(axis=1).sum())


def test_every_patient_is_predicted_by_a_model_of_the_other_inner_folds(cohort, monkeypatch):
    has = int(cohort.present.any(dim=1).sum())
    assert folds_fitted(cohort, monkeypatch, 5000) == (5, has)


def test_no_more_inner_folds_are_fitted_than_have_enough_patients(cohort, monkeypatch):
    fits, predicted = folds_fitted(cohort, monkeypatch, 30)
    assert fits == 2 and 30 <= predicted <= 50


def test_inner_folds_are_told_where_there_are_so_many_patients_that_one_takes_long(cohort, monkeypatch):
    told = []
    context = FitContext(0, progress=told.append)
    monkeypatch.setattr(fitting, "ENOUGH_HELD_OUT", 30)
    out_of_fold(Counted, cohort, context)
    assert told == [f"fitting inner fold {number} of 2, to recalibrate on it" for number in (1, 2)]
    monkeypatch.setattr(fitting, "ENOUGH_HELD_OUT", len(cohort))
    out_of_fold(Counted, cohort, context)
    assert len(told) == 2
