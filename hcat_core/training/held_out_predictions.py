"""Predictions of patients who were held out, fold by fold, as one of a whole cohort."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces import Prediction


def in_place(parts: Sequence[tuple[Tensor, Prediction]], cohort: Cohort) -> Prediction:
    """Predictions of some rows of a cohort each, as one of all its N patients; NaN for the others."""
    joined = Prediction.joined([prediction for _, prediction in parts])
    rows = torch.cat([rows for rows, _ in parts])

    def spread(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        result = tensor.new_full((len(cohort), *tensor.shape[1:]), float("nan"))
        result[rows] = tensor
        return result

    probability = spread(joined.event_probability)
    assert probability is not None
    return Prediction(probability, None, spread(joined.interval), spread(joined.value))
