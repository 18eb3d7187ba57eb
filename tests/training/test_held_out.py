"""Whose outcomes recalibrated a fitted estimator and chose its thresholds."""

import pytest
import torch

from hcat_core.interfaces import Prediction
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.training.fitting import Fitted
from hcat_core.training.held_out import held_out_by


class Plain:
    """An estimator with none of the optional attributes."""


class Thresholding:
    thresholds = (0.4,)


class CrossFitted:
    out_of_fold = Prediction(torch.zeros((3, 1)))


@pytest.mark.parametrize(
    ("estimator", "took_validation", "validation", "held_out"),
    [
        (Plain(), False, 20, "validation patients"),
        (Plain(), False, 0, "nobody"),
        (Plain(), True, 0, "inner folds"),
        (CrossFitted(), True, 0, "members"),
        (CrossFitted(), False, 20, "validation patients"),  # a network of one member
        (CrossFitted(), False, 0, "nobody"),
        (Thresholding(), True, 0, "estimator"),
    ],
)
def test_those_who_chose_are_the_ones_whom_the_fit_left_out(
    estimator, took_validation, validation, held_out
):
    fitted = Fitted(estimator, Recalibration.none(1), [0.5], took_validation)
    assert held_out_by(fitted, validation) == held_out
