"""What a run writes down while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from hcat_core.runs.run_records import Run
from hcat_core.training.checkpoints import Epoch


class RunObserver:
    """Writes down what a training does, in the run folder, and passes it on to the plugins' hooks."""

    def __init__(self, run: Run, environment: dict[str, object]) -> None:
        self.run = run
        self.environment = environment
        self.history: list[Epoch] = []
        self.begun = False

    def model_built(self) -> None:
        """Begin the run folder, once: an error from here on leaves it."""
        if self.run.processes.is_main and not self.begun:
            self.environment = self.run.folder.begin(self.environment, self.run.say)
        self.begun = True

    def training_started(
        self, steps_per_epoch: int, history: Sequence[Epoch], member: int, members: int
    ) -> None:
        """Write the epochs that the last checkpoint knows; a line written after it is dropped."""
        self.history = [epoch for epoch in self.history if epoch.member < member] + list(history)
        if self.history:
            self._write()
        self.run.catalog.plugins.hook.hcat_run_started(
            run_folder=self.run.folder.path,
            epochs=self.run.recipe.training.epochs,
            steps_per_epoch=steps_per_epoch,
            member=member,
            members=members,
        )

    def epoch_finished(self, epoch: Epoch) -> None:
        """Write its line."""
        self.history.append(epoch)
        self._write()
        self.run.catalog.plugins.hook.hcat_epoch_finished(record=asdict(epoch))

    def _write(self) -> None:
        self.run.folder.write_metrics([asdict(epoch) for epoch in self.history])
