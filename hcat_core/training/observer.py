"""Who is informed of a training while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hcat_core.training.checkpoints import Epoch


class Observer(Protocol):
    """Is informed of what a training does, to show it or to write it down."""

    def model_built(self) -> None:
        """The model is built; nothing is fitted or written yet."""
        ...

    def training_started(
        self, steps_per_epoch: int, history: Sequence[Epoch], member: int, members: int
    ) -> None:
        """The first epoch of training ``member`` is about to begin, or to follow those of ``history``."""
        ...

    def steps_taken(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Some steps of an epoch are done, of which this is the mean loss; called about once a second."""
        ...

    def epoch_finished(self, epoch: Epoch) -> None:
        """An epoch is over and its checkpoints are written."""
        ...


class NoObserver:
    """Shows and writes nothing."""

    def model_built(self) -> None:
        """Nothing."""

    def training_started(
        self, steps_per_epoch: int, history: Sequence[Epoch], member: int, members: int
    ) -> None:
        """Nothing."""

    def steps_taken(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Nothing."""

    def epoch_finished(self, epoch: Epoch) -> None:
        """Nothing."""
