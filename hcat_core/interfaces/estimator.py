"""The contract of estimators, and what they may have beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.interfaces.fitting import FitContext
from hcat_core.interfaces.imputer import Imputation
from hcat_core.interfaces.prediction import Prediction


@runtime_checkable
class Estimator(Protocol):
    """Predicts outcomes of patients with any subset of modalities. Injected: layout.

    It receives cohorts as they were read: whatever it standardises, imputes or selects is fitted in
    ``fit``, on those patients alone. What it may have beyond this is declared in the
    other Protocols of this module.
    """

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Learn from training patients; ``validation`` (maybe of no patients) stops and calibrates."""
        ...

    def predict(self, cohort: Cohort) -> Prediction:
        """Predict every patient, whatever they lack; targets are not looked at."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything that was fitted into an empty folder: safetensors, JSON, skops; no pickle."""
        ...

    def load(self, folder: Path, context: FitContext) -> None:
        """Restore what ``save`` wrote.

        Raises:
            DataError: for files that are damaged, or hold types that are not trusted.
        """
        ...


@runtime_checkable
class RefittingEstimator(Protocol):
    """An estimator that does not need validation patients, where its class attribute ``refits`` is True.

    It is fitted on training and validation patients together. Its probabilities are recalibrated with what
    it predicts in inner folds, for patients that it was not fitted on.
    """

    refits: bool


@runtime_checkable
class ThresholdingEstimator(Protocol):
    """A refitting estimator that recalibrates itself and chooses a threshold for each task in ``fit``.

    Attributes:
        thresholds: the probability at or above which a patient is classified as having the event, by task.
    """

    thresholds: Sequence[float]


@runtime_checkable
class SinglePassEstimator(Protocol):
    """An estimator that predicts by sampling, and can also predict in a single pass."""

    def predict_once(self, cohort: Cohort) -> Prediction:
        """Predict without sampling; used where an explanation takes very many predictions."""
        ...


@runtime_checkable
class EnsembleEstimator(Protocol):
    """An estimator whose prediction in a single pass is the mean of those of its members."""

    def predict_members(self, cohort: Cohort) -> Sequence[Prediction]:
        """The prediction of each member, in a single pass."""
        ...


@runtime_checkable
class GatedEstimator(Protocol):
    """An estimator that relies on each modality as far as a gate is open, and can return its gates."""

    def gates(self, cohort: Cohort) -> Tensor | None:
        """(N, M) gates in [0, 1]; None where its parts have none."""
        ...


@runtime_checkable
class CrossFittedEstimator(Protocol):
    """A refitting estimator that already has predictions for patients left out of a fit of its members.

    Attributes:
        out_of_fold: predictions of the patients passed to ``fit``; NaN without any modality.
    """

    out_of_fold: Prediction


@runtime_checkable
class AdditiveEstimator(Protocol):
    """An estimator whose logit, log hazard ratio or value is a sum over modalities: evidence for a network.

    Its fitted tensors are those of ``state_dict``, so that they can be a part of a network's checkpoint.
    """

    def contributions(self, cohort: Cohort) -> Tensor:
        """(N, M, T) what each modality adds to the sum; 0 is usual, and what a missing modality adds.

        Of a class it is added to the class's logit in a softmax; of a number it is in its unit.
        """
        ...

    def out_of_fold_contributions(self) -> Tensor:
        """(N, M, T) of the patients passed to ``fit``, each by models fitted without the patient."""
        ...

    def state_dict(self) -> Mapping[str, Tensor]:
        """Everything that was fitted, as flat tensors."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> object:
        """Restore what ``state_dict`` gave."""
        ...


@runtime_checkable
class ImputingEstimator(Protocol):
    """An estimator that imputes what is missing, and can return the imputation."""

    def impute(self, cohort: Cohort) -> Imputation:
        """Fill the cohort's gaps, with spread and draws, in the units of the files."""
        ...


@runtime_checkable
class EmbeddingEstimator(Protocol):
    """An estimator that represents each patient by a vector, one for each of its members."""

    def embed(self, cohort: Cohort) -> list[Tensor]:
        """(N, H) vectors of each member, whose spaces are its own: a mean over members means nothing."""
        ...
