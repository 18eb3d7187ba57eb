"""Runs and comparisons for MLflow, in a file beside them: ``mlflow ui --backend-store-uri sqlite:///FILE``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hcat_builtin.tracking.numbers import numbers_in, scores_of
from hcat_core.registry.hooks import hookimpl

LONGEST = 500  # characters of a parameter that MLflow keeps


class MlflowTracker:
    """Writes to the SQLite file ``mlruns.db`` beside the run folder, or in the folder of the comparison.

    Nothing is sent to a server: what the environment says about one is not used. Parameters are the keys of
    the recipe, metrics those of epochs and of the finished run. Patients are in neither.

    Raises:
        ImportError: where mlflow is not installed.
    """

    def __init__(self) -> None:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        from mlflow.tracking import MlflowClient

        self._client_class = MlflowClient
        self._runs: dict[Path, tuple[Any, str]] = {}

    @hookimpl
    def hcat_run_started(self, run_folder: Path, recipe: Mapping[str, Any]) -> None:
        """Begin a run with the keys of the recipe; the members of an ensemble are one run."""
        if run_folder in self._runs:
            return
        self._begin(run_folder, run_folder.resolve().parent, "hcat runs")
        client, run = self._runs[run_folder]
        for name, value in _leaves(recipe).items():
            client.log_param(run, name, value[:LONGEST])

    @hookimpl
    def hcat_epoch_finished(self, run_folder: Path, record: Mapping[str, Any]) -> None:
        """Losses and validation scores by epoch; members of an ensemble after the first are named."""
        prefix = f"member_{record['member']}/" if record["member"] > 1 else ""
        scores = numbers_in({"train_loss": record["train_loss"], "val": record["val"]})
        self._log(run_folder, {prefix + name: value for name, value in scores.items()}, record["epoch"])

    @hookimpl
    def hcat_run_finished(self, run_folder: Path, summary: Mapping[str, Any]) -> None:
        """The scores of all sides; the run is finished."""
        self._log(run_folder, numbers_in(scores_of(summary)), 0)
        self._finish(run_folder)

    @hookimpl
    def hcat_job_finished(self, folder: Path, job: str, result: Mapping[str, Any]) -> None:
        """One run for each job of a comparison."""
        here = folder / job
        self._begin(here, folder.resolve(), "hcat comparison")
        self._log(here, numbers_in(result), 0)
        self._finish(here)

    def _begin(self, key: Path, place: Path, experiment: str) -> None:
        client = self._client_class(tracking_uri=f"sqlite:///{place / 'mlruns.db'}")
        known = client.get_experiment_by_name(experiment)
        number = known.experiment_id if known is not None else client.create_experiment(experiment)
        run = client.create_run(number, run_name=key.name, tags={"hcat.folder": str(key)})
        self._runs[key] = (client, run.info.run_id)

    def _log(self, key: Path, numbers: Mapping[str, float], step: int) -> None:
        client, run = self._runs[key]
        for name, value in numbers.items():
            client.log_metric(run, name, value, step=step)

    def _finish(self, key: Path) -> None:
        client, run = self._runs.pop(key)
        client.set_terminated(run)


def _leaves(record: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Every value of a recipe that is no table, as text, by dotted key."""
    found: dict[str, str] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= _leaves(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = str(value)
    return found
