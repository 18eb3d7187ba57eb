"""The contract of heads, and what they may have beside it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from hcat_core.cohort import Cohort, Targets
from hcat_core.interfaces.fusion import Fused
from hcat_core.interfaces.prediction import Prediction


@runtime_checkable
class Head(Protocol):
    """Turns a fused vector into one outcome's prediction. Injected: layout, outcome's name, fused width.

    One that predicts risk over time is a ``TimedHead`` too; one that predicts classes or numbers declares
    ``OutcomeKinds``.
    """

    def prepare(self, train: Cohort) -> None:
        """Take what it needs from training targets: class weights, hazard bins."""
        ...

    def __call__(self, fused: Fused) -> Tensor:
        """Raw outputs, (N,), (N, bins) or (N, classes)."""
        ...

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """Probabilities (N, H) of the event within each horizon, in days.

        Without horizons, for a task of labels that no time belongs to: (N, 1) of the label; (N, K) of an
        outcome of K classes, which add up to 1. For a number: NaN, with ``value`` (N, 1) and the model's
        own 90 % ``interval`` (N, 1, 2) of it.
        """
        ...


@runtime_checkable
class TimedHead(Protocol):
    """A head that predicts risk over time: ``predict`` gives the probability for any horizon.

    With ``needs_baseline``, ``fit_baseline`` is called after each epoch with the raw outputs for all
    training patients.
    """

    needs_baseline: bool

    def fit_baseline(self, raw: Tensor, train: Cohort) -> None:
        """Fit what turns raw outputs into probabilities over time, from training patients alone."""
        ...


@runtime_checkable
class ResidualHead(Protocol):
    """A head whose raw outputs are logits, log hazards or values, to which another model's can be added.

    The other model is the evidence of the estimator ``neural``: the head then learns what is left.
    """

    def start_at_zero(self, evidence: Tensor, targets: Targets) -> None:
        """Set what the network adds to 0, and what all patients share to what is the most likely.

        Args:
            evidence: (N,) of the training patients, to be added to the raw outputs: logits, log hazard
                ratios, or values in their unit; of an outcome of K classes (N, K) logits.
            targets: of the training patients.
        """
        ...

    def scale_residual(self, weight: float) -> None:
        """Multiply how far the outputs are from those at the start by a weight of at least 0."""
        ...

    def log_likelihood(self, raw: Tensor, targets: Targets) -> Tensor:
        """(N,) log likelihood of each patient's outcome, in nats; NaN where it is not known."""
        ...


@runtime_checkable
class EvidenceHead(Protocol):
    """A residual head that adds evidence to some of its raw outputs only; others add it to each of them."""

    def add_evidence(self, raw: Tensor, evidence: Tensor) -> Tensor:
        """The raw outputs (N, ...) of N patients with their evidence, (N,) or (N, K), where it belongs."""
        ...


class BinaryLogitHead(Protocol):
    """A head whose raw outputs are one logit per patient, which the losses ``bce`` and ``focal`` train.

    It is not checked by ``isinstance``, which from Python 3.12 on does not find torch buffers.

    Attributes:
        column: of the head's task in the targets.
        pos_weight: scalar, how many times as much a patient with the event counts as one without.
    """

    column: int
    pos_weight: Tensor


@runtime_checkable
class PatientWeightingHead(Protocol):
    """A head that gives each patient with a known outcome a weight in the loss."""

    def weights(self, targets: Targets) -> Tensor:
        """(N,) positive weights, in the order of ``targets``."""
        ...
