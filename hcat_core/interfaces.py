"""The contracts of the six component kinds (the reader's: ``reading``), and the records between them.

Protocols, no base classes: a class with these methods is a component. ``layout`` is injected first
(heads also get their task and the fused width); keyword-only constructor parameters are the recipe's
keys. A parameter annotated with one of these Protocols takes a nested table with a ``use`` of its own;
one annotated ``pathlib.Path`` is resolved against ``cohort.root``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Generator, Tensor

from hcat_core.cohort import CURVE_STEPS, Cohort, Targets
from hcat_core.reading import COUNT_COLUMN as COUNT_COLUMN
from hcat_core.reading import QUALITY_COLUMN as QUALITY_COLUMN
from hcat_core.reading import ColumnTable as ColumnTable
from hcat_core.reading import DescribingReader as DescribingReader
from hcat_core.reading import ModalityTable as ModalityTable
from hcat_core.reading import Reader as Reader
from hcat_core.reading import ViewReader as ViewReader

# -------------------------------------------------------------------------------------- imputer


@dataclass(frozen=True)
class ImputerEpoch:
    """How far the fitting of an imputer's network is.

    Attributes:
        imputer: what is fitted, in words for a person.
        epoch: number of passes over the training patients that are done.
        epochs: number of passes at most.
        crps: of the best state so far, on hidden blocks; NaN where there is nothing to compare by.
    """

    imputer: str
    epoch: int
    epochs: int
    crps: float


@dataclass(frozen=True)
class FitContext:
    """What a component may use while it is fitted, beside its patients: seed, device, how to report.

    Attributes:
        seed: of all that is random.
        device: where to compute.
        progress: shows a line of text.
        imputer_epoch: shows how far the fitting of an imputer is; calling it is optional.
    """

    seed: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    progress: Callable[[str], None] = lambda message: None
    imputer_epoch: Callable[[ImputerEpoch], None] = lambda epoch: None


class CommonNumbers(Generator):
    """A generator for ``normal`` and ``categories``: each row of a batch gets the same numbers."""


def normal(
    shape: tuple[int, ...], generator: Generator, *, rows: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Standard normal numbers of a shape, whose axis ``rows`` is that of patients."""
    if isinstance(generator, CommonNumbers):
        one = (*shape[:rows], 1, *shape[rows + 1 :])
        return torch.randn(one, generator=generator, device=device, dtype=dtype).expand(shape)
    return torch.randn(shape, generator=generator, device=device, dtype=dtype)


def categories(share: Tensor, generator: Generator) -> Tensor:
    """(N,) a category for each row of (N, K) probabilities."""
    rows = 1 if isinstance(generator, CommonNumbers) else len(share)
    at = torch.rand((rows, 1), generator=generator, device=share.device, dtype=share.dtype)
    cumulated = share.cumsum(dim=1)
    return (cumulated < at * cumulated[:, -1:]).sum(dim=1)


@dataclass(frozen=True)
class Average:
    """A mean as its sum and how much went into it: the parts of a batch add up to the batch's own."""

    total: Tensor
    count: Tensor

    @property
    def value(self) -> Tensor:
        """The mean, a scalar; 0 of nothing."""
        return self.total / self.count.clamp_min(1)


@dataclass(frozen=True)
class Imputation:
    """A batch with its gaps filled.

    Attributes:
        emb: (N, M, D); measured cells bit-identical to the batch's.
        std: (N, M, D) predictive standard deviation, observation noise included; 0 where measured.
        filled: (N, M, D) bool; a missing block left unfilled becomes a mask token in the fusion.
        losses: means by name, ``kl`` and what else the imputer trains on; empty outside training.
    """

    emb: Tensor
    std: Tensor
    filled: Tensor
    losses: Mapping[str, Average] = field(default_factory=dict)

    def draw(self, n: int, generator: Generator) -> Tensor:
        """(n, N, M, D) multiple imputations: independent Gaussians unless an imputer knows better.

        An imputer of its own draws takes its numbers from ``normal`` and ``categories``:
        a generator may say
        that all patients get the same; otherwise its predictions depend on who is asked about with whom.
        """
        noise = normal(
            (n, *self.emb.shape), generator, rows=1, device=self.emb.device, dtype=self.emb.dtype
        )
        return torch.where(self.filled, self.emb + self.std * noise, self.emb)


@runtime_checkable
class Imputer(Protocol):
    """Fills what is missing. It never sees targets: the core removes them first."""

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Learn from training patients; may do nothing (a jointly trained module)."""
        ...

    def __call__(self, batch: Cohort) -> Imputation:
        """Fill a batch."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that was fitted, as flat tensors."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> object:
        """Restore what ``state_dict`` gave."""
        ...


# --------------------------------------------------------------------------- fusion, head, loss


@dataclass(frozen=True)
class Fused:
    """One patient, one vector: ``pooled`` (N, H), ``tokens`` (N, K, H), ``projection`` (N, P) or None.

    ``weights`` (N, M) is how much each modality counted in the pooling, and ``gates`` (N, M) in [0, 1] how
    far each is relied on, where the fusion knows.
    """

    pooled: Tensor
    tokens: Tensor
    projection: Tensor | None = None
    weights: Tensor | None = None
    gates: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> Fused:
        """The same with ``function`` applied to every tensor that is there."""
        return Fused(
            function(self.pooled),
            function(self.tokens),
            None if self.projection is None else function(self.projection),
            None if self.weights is None else function(self.weights),
            None if self.gates is None else function(self.gates),
        )


@runtime_checkable
class PreparedFusion(Protocol):
    """A fusion that takes what it needs from training patients before the first step."""

    def prepare(self, train: Cohort) -> None:
        """Take statistics of (N,) standardised patients without targets."""
        ...


@runtime_checkable
class GatedFusion(Protocol):
    """A fusion with gates, whose few parameters are trained with a learning rate of their own."""

    def gate_parameters(self) -> Iterable[torch.nn.Parameter]:
        """The parameters of the gates."""
        ...

    def quality_gates(self, quality: Tensor) -> Tensor:
        """(N, M) gates of measured blocks of a quality (N, M) in [0, 1], whatever their content."""
        ...


@runtime_checkable
class Fusion(Protocol):
    """Combines the modalities of each patient; ``width`` is H of what it returns."""

    width: int

    def __call__(self, batch: Cohort, imputation: Imputation) -> Fused:
        """Fuse a batch."""
        ...


@dataclass(frozen=True)
class Prediction:
    """What is predicted of N patients, from a head or an estimator to ``predictions.csv``.

    Tensors are on the CPU. ``probability``, ``low``, ``high`` and ``curves`` are the same in float64 arrays
    for metrics and files, NaN where there is none.

    Attributes:
        event_probability: (N, T) in [0, 1], by each task's horizon; (N, H) of a head asked for H horizons.
        curve: (N, T, 12) event probability by each of a task's ``curve_days``, the last of which is its
            horizon; NaN for a task whose risk over time is not known; None where that is so for all.
        interval: (N, T, 2), lower and upper end of the 90 % interval, or None.
    """

    event_probability: Tensor
    curve: Tensor | None = None
    interval: Tensor | None = None

    def __getitem__(self, rows: np.ndarray | slice) -> Prediction:
        curve = None if self.curve is None else self.curve[rows]
        return Prediction(
            self.event_probability[rows], curve, None if self.interval is None else self.interval[rows]
        )

    @property
    def probability(self) -> np.ndarray:
        """(N, T) event probabilities."""
        return self.event_probability.double().numpy()

    @property
    def low(self) -> np.ndarray:
        """(N, T) lower ends of the intervals."""
        return self._end(0)

    @property
    def high(self) -> np.ndarray:
        """(N, T) upper ends of the intervals."""
        return self._end(1)

    @property
    def curves(self) -> np.ndarray:
        """(N, T, 12) event probabilities over time; at the horizon they are always known."""
        if self.curve is not None:
            return self.curve.double().numpy()
        curves = np.full((*self.event_probability.shape, CURVE_STEPS), np.nan)
        curves[..., -1] = self.probability
        return curves

    def _end(self, side: int) -> np.ndarray:
        if self.interval is None:
            return np.full(self.event_probability.shape, np.nan)
        return self.interval[..., side].double().numpy()


@runtime_checkable
class Head(Protocol):
    """Turns a fused vector into one task's prediction. Injected: layout, task, fused width.

    One that knows risk over time is a ``TimedHead``, and is asked for any horizon.
    """

    def prepare(self, train: Cohort) -> None:
        """Take what it needs from training targets: class weights, hazard bins."""
        ...

    def __call__(self, fused: Fused) -> Tensor:
        """Raw outputs, (N,) or (N, bins)."""
        ...

    def predict(self, raw: Tensor, horizons: tuple[float, ...]) -> Prediction:
        """Probabilities (N, H) of the event within each horizon, in days."""
        ...


@runtime_checkable
class TimedHead(Protocol):
    """A head that knows risk over time: ``predict`` answers for every horizon.

    One with ``needs_baseline`` is shown its raw outputs for all training patients after each epoch.
    """

    needs_baseline: bool

    def fit_baseline(self, raw: Tensor, train: Cohort) -> None:
        """Fit what turns raw outputs into probabilities over time, from training patients alone."""
        ...


@runtime_checkable
class ResidualHead(Protocol):
    """A head whose raw outputs are logits or log hazards, to which those of another model can be added.

    The other model is the evidence of the estimator ``neural``: the head then learns what is left.
    """

    def start_at_zero(self, evidence: Tensor, targets: Targets) -> None:
        """Set what the network adds to 0, and what all patients share to what is the most likely.

        Args:
            evidence: (N,) of the training patients, to be added to the raw outputs.
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
        """The raw outputs (N, ...) of N patients with their evidence (N,) added where it belongs."""
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


@runtime_checkable
class StatefulComponent(Protocol):
    """A component with tensors that belong into checkpoints; every ``nn.Module`` is one."""

    def state_dict(self) -> Mapping[str, Tensor]:
        """Everything that was fitted or trained, by name."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor], /) -> object:
        """Restore what ``state_dict`` gave."""
        ...


@dataclass(frozen=True)
class Outputs:
    """Everything a loss may look at, for one batch.

    ``raw`` and ``heads`` are keyed by head name. ``second_view`` is the same patients fused under
    another modality mask and other noise; it is computed only when a loss asks for it.
    """

    raw: Mapping[str, Tensor]
    heads: Mapping[str, Head]
    fused: Fused
    imputation: Imputation
    second_view: Fused | None = None


@runtime_checkable
class Loss(Protocol):
    """One term of the weighted sum; ``needs_second_view`` asks for another view of each patient.

    One that needs a particular head component is a ``HeadSpecificLoss`` as well.
    """

    needs_second_view: bool

    def __call__(self, outputs: Outputs, batch: Cohort) -> Tensor:
        """A scalar; 0 with no usable target."""
        ...


@runtime_checkable
class HeadSpecificLoss(Protocol):
    """A loss that trains one head component alone: a class attribute names that component."""

    made_for: str


# ------------------------------------------------------------------------------------ estimator


@runtime_checkable
class Estimator(Protocol):
    """Predicts outcomes of patients with any subset of modalities. Injected: layout.

    It receives cohorts as they were read: whatever it standardises, imputes or selects is fitted in
    ``fit``, on those patients alone. What it may have beyond this is declared in ``RefittingEstimator``,
    ``ThresholdingEstimator``, ``SinglePassEstimator`` and ``ImputingEstimator``.
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
        out_of_fold: (N, T) probabilities of the patients passed to ``fit``; NaN without any modality.
    """

    out_of_fold: np.ndarray


@runtime_checkable
class AdditiveEstimator(Protocol):
    """An estimator whose logit, or log hazard ratio, is a sum over modalities: evidence for a network.

    Its fitted tensors are those of ``state_dict``, so that they can be a part of a network's checkpoint.
    """

    def contributions(self, cohort: Cohort) -> Tensor:
        """(N, M, T) what each modality adds to the sum; 0 is usual, and what a missing modality adds."""
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
