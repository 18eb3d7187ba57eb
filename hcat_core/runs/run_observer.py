"""What a run writes down while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from hcat_core.registry.notifying import notify
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
        self._notify(
            "hcat_run_started",
            recipe=self.run.recipe.as_dict(),
            epochs=self.run.recipe.training.epochs,
            steps_per_epoch=steps_per_epoch,
            member=member,
            members=members,
        )

    def fitting_started(self) -> None:
        """Tell plugins that an estimator without epochs is fitted."""
        self._notify(
            "hcat_run_started",
            recipe=self.run.recipe.as_dict(),
            epochs=0,
            steps_per_epoch=0,
            member=0,
            members=1,
        )

    def steps_taken(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Pass it on."""
        self._notify("hcat_steps_taken", epoch=epoch, step=step, steps=steps, loss=loss)

    def epoch_finished(self, epoch: Epoch) -> None:
        """Write its line."""
        self.history.append(epoch)
        self._write()
        self._notify("hcat_epoch_finished", record=asdict(epoch))

    def _notify(self, hook: str, **facts: object) -> None:
        notify(self.run.catalog.plugins, hook, self.run.say, run_folder=self.run.folder.path, **facts)

    def _write(self) -> None:
        self.run.folder.write_metrics([asdict(epoch) for epoch in self.history])
