"""What the estimators that train a recipe's neural parts are given beside their patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hcat_core.errors import UsageError
from hcat_core.interfaces import FitContext
from hcat_core.training.distributed import SINGLE_PROCESS, Processes
from hcat_core.training.neural_parts import NeuralParts
from hcat_core.training.observer import NoObserver, Observer


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder whose checkpoints outlive the training, so that it can be resumed.

    ``recipe`` is the text that they are bound to: those of another recipe are refused.
    """

    path: Path
    recipe: str


@dataclass(frozen=True)
class TrainingContext(FitContext):
    """A ``FitContext`` that also carries a recipe's neural parts, for the estimators that train them.

    A run, a fold, a member of an ensemble and a process of torchrun differ in nothing else.

    Attributes:
        parts: imputer, fusion, heads and losses of the recipe; None where it has none.
        folder: where the training is kept and resumed from; None for one that is not kept.
        observer: is informed of each epoch.
        processes: this process and those that share the training.
        member: number of the training, from 1, among ``members``.
    """

    parts: NeuralParts | None = None
    folder: CheckpointFolder | None = None
    observer: Observer = NoObserver()
    processes: Processes = SINGLE_PROCESS
    member: int = 1
    members: int = 1


def training_context(context: FitContext) -> TrainingContext:
    """The context of an estimator that trains neural parts.

    Raises:
        UsageError: for a context without them.
    """
    if not isinstance(context, TrainingContext) or context.parts is None:
        raise UsageError("the estimator neural needs the recipe's imputer, fusion, heads and losses.")
    return context


def parts_of(context: FitContext) -> NeuralParts:
    """The neural parts that a context carries.

    Raises:
        UsageError: for a context without them.
    """
    parts = training_context(context).parts
    assert parts is not None
    return parts
