"""The run folder: what a run writes, where, and who may write it."""

from __future__ import annotations

import csv
import io
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from hcat_core import __version__
from hcat_core.cohort import Cohort
from hcat_core.data.splits import Split
from hcat_core.errors import DataError, UsageError
from hcat_core.interfaces import Prediction
from hcat_core.recipe.provenance import used_components
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.discovery import provenance
from hcat_core.storage.atomic_files import PARTIAL
from hcat_core.storage.checkpoint import write_text
from hcat_core.storage.folder_lock import HOLDER, LOCK
from hcat_core.storage.safe_path import safe_path

# What a process leaves that was killed before there was anything to resume.
NOTHING = (LOCK, HOLDER, f".recipe.toml{PARTIAL}")
LIBRARIES = ("torch", "numpy", "h5py", "scikit-learn", "pandas", "pydantic", "safetensors")


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run. Patient ids appear in ``predictions`` alone."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """A new, empty run folder.

        Raises:
            UsageError: when there is something at ``path`` already.
        """
        if path.exists() and (not path.is_dir() or any(p.name not in NOTHING for p in path.iterdir())):
            raise UsageError(
                f"{path} is not empty. Name another --outdir, or go on with that run: "
                f"hcat run --resume {path}"
            )
        folder = cls(path)
        path.mkdir(parents=True, exist_ok=True)
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The folder of an earlier run.

        Raises:
            UsageError: when ``path`` holds no run.
        """
        folder = cls(path)
        if not folder.recipe.is_file():
            raise UsageError(f"{path} is not a run folder: it has no recipe.toml.")
        for inner in (folder.checkpoints, folder.estimator):
            safe_path(path, inner.name)
        return folder

    @property
    def finished(self) -> bool:
        """Is everything there? ``trained`` is written last."""
        return self.trained.is_file()

    @property
    def recipe(self) -> Path:
        """The resolved recipe, every default filled in."""
        return self.path / "recipe.toml"

    @property
    def environment(self) -> Path:
        """Versions, threads, device, plugins, data fingerprint."""
        return self.path / "environment.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def estimator(self) -> Path:
        """The folder of a fitted estimator that is not one neural training."""
        return self.path / "estimator"

    @property
    def trained(self) -> Path:
        """What predicting needs beside the weights; there once the run has finished."""
        return self.path / "trained.safetensors"

    @property
    def report(self) -> Path:
        """The report, one page without outside parts."""
        return self.path / "report.html"

    @property
    def metrics(self) -> Path:
        """One JSON line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def predictions(self) -> Path:
        """One row a patient; the only file with patient ids."""
        return self.path / "predictions.csv"

    @property
    def summary(self) -> Path:
        """The document's training summary."""
        return self.path / "enhanced_hcat_training_summary.json"

    def recipe_text(self) -> str:
        """The recipe as it is in the folder; what checkpoints are bound to."""
        return self.recipe.read_text(encoding="utf-8")

    def begin(self, facts: dict[str, object], say: Callable[[str], None]) -> dict[str, object]:
        """What the numbers depend on, written once: from then on a run has begun, and an error leaves it.

        Returns what the run was begun with; a resumed one goes on with the same cohort.

        Raises:
            DataError: where that was another one.
        """
        if not self.environment.is_file():
            write_text(self.environment, json.dumps(facts, indent=2) + "\n")
            return facts
        try:
            before: dict[str, object] = json.loads(self.environment.read_text(encoding="utf-8"))
            data = before["data"]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{self.environment}: unreadable ({error}); start a new run.") from None
        if data != facts["data"]:
            raise DataError(
                f"{self.path}: the cohort is not the one this run was begun with (its fingerprint "
                "differs). Put the files back, or start a new run."
            )
        other = [name for name, value in facts.items() if before.get(name) != value]
        if other:
            say(f"begun with another {', '.join(other)}: the figures may not be those of an unbroken run")
        return before

    def read_summary(self) -> dict[str, object]:
        """The summary of a finished run.

        Raises:
            DataError: when it is missing or damaged, with the way to have it made again.
        """
        try:
            found: dict[str, object] = json.loads(self.summary.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.summary}: unreadable ({error}). Remove {self.trained.name} there, and --resume "
                "makes both again."
            ) from None
        return found

    def write_metrics(self, history: Iterable[Mapping[str, object]]) -> None:
        """All epochs so far, whole or not at all."""
        write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in history))

    def write_predictions(self, cohort: Cohort, split: Split, predicted: Prediction) -> None:
        """Probability, interval where there is one, label and split of every patient with a modality."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        names = [task.output_name for task in cohort.layout.tasks]
        columns = [column for name in names for column in (name, f"{name}_low", f"{name}_high")]
        labels = [f"{task}_label" for task in cohort.layout.task_names]
        writer.writerow(["patient_id", "split", "modalities", *labels, *columns])
        sides = split.names(len(cohort))
        present = cohort.present.numpy()
        known = None if cohort.targets is None else cohort.targets.labels.numpy()
        for row, patient in enumerate(cohort.ids_as_written()):
            if sides[row] == "left out":
                continue
            numbers = np.stack(
                [predicted.probability[row], predicted.low[row], predicted.high[row]], axis=1
            )
            writer.writerow(
                [
                    patient,
                    sides[row],
                    " ".join(np.array(cohort.layout.names)[present[row]]),
                    *(["-1"] * len(labels) if known is None else known[row].tolist()),
                    *(f"{number:.6f}" if np.isfinite(number) else "" for number in numbers.ravel()),
                ]
            )
        write_text(self.predictions, buffer.getvalue())


def environment(recipe: Recipe, catalog: Catalog, device: torch.device) -> dict[str, object]:
    """What else, beside recipe and data, the numbers depend on."""
    return {
        "hcat": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "device": str(device),
        "threads": torch.get_num_threads(),
        "plugins": [provenance(point) for point in catalog.points],
        "plugins_left_out": [str(provider) for provider in catalog.left_out],
        "components": used_components(recipe, catalog),
        "broken_plugins": [str(broken.provider) for broken in catalog.broken],
    }
