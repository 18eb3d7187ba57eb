"""The run folder: the files that a run writes."""

from __future__ import annotations

import csv
import io
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

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
from hcat_core.runs.outcomes_in_words import known_outcomes, prediction_cells, prediction_columns
from hcat_core.storage.atomic_files import PARTIAL
from hcat_core.storage.checkpoint import write_text
from hcat_core.storage.folder_lock import HOLDER, LOCK
from hcat_core.storage.safe_path import safe_path

# Files that a process leaves when it is killed before there is anything to resume.
NOTHING = (LOCK, HOLDER, f".recipe.toml{PARTIAL}")
LIBRARIES = ("torch", "numpy", "h5py", "scikit-learn", "pandas", "pydantic", "safetensors")


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run. Patient ids appear in ``predictions`` only."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> RunFolder:
        """Create an empty run folder.

        Raises:
            UsageError: if ``path`` exists and is not an empty folder.
        """
        if path.exists() and (not path.is_dir() or any(p.name not in NOTHING for p in path.iterdir())):
            raise UsageError(
                f"{path} is not empty. Name another --outdir, or continue that run: "
                f"hcat run --resume {path}"
            )
        folder = cls(path)
        path.mkdir(parents=True, exist_ok=True)
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open the folder of an earlier run.

        Raises:
            UsageError: if ``path`` is not a run folder.
        """
        folder = cls(path)
        if not folder.recipe.is_file():
            raise UsageError(f"{path} is not a run folder: it has no recipe.toml.")
        for inner in (folder.checkpoints, folder.estimator):
            safe_path(path, inner.name)
        return folder

    @property
    def finished(self) -> bool:
        """Whether the run has finished: ``trained`` is written last."""
        return self.trained.is_file()

    @property
    def recipe(self) -> Path:
        """The resolved recipe, with every default."""
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
        """The folder of a fitted estimator, unless it is a single neural network."""
        return self.path / "estimator"

    @property
    def trained(self) -> Path:
        """The file that predicting needs beside the weights; it exists once the run has finished."""
        return self.path / "trained.safetensors"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    @property
    def model_card(self) -> Path:
        """What the model is for, what it was fitted to, and what is not known, as Markdown."""
        return self.path / "model_card.md"

    @property
    def metrics(self) -> Path:
        """One JSON line per epoch."""
        return self.path / "metrics.jsonl"

    @property
    def predictions(self) -> Path:
        """One row per patient; the only file with patient ids."""
        return self.path / "predictions.csv"

    @property
    def summary(self) -> Path:
        """The summary of the run, as JSON."""
        return self.path / "enhanced_hcat_training_summary.json"

    def recipe_text(self) -> str:
        """The text of the recipe in the folder; checkpoints are valid only for this text."""
        return self.recipe.read_text(encoding="utf-8")

    def begin(self, facts: dict[str, object], say: Callable[[str], None]) -> dict[str, object]:
        """Write the facts that results depend on, or compare them with those of the interrupted run.

        From then on the run has begun, and is kept when an error occurs. Returns the facts that the run was
        begun with.

        Raises:
            DataError: if the cohort differs from the one that the run was begun with.
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
                f"{self.path}: the cohort is not the one that this run was begun with (its fingerprint "
                "differs). Restore the files, or start a new run."
            )
        changed = [name for name, value in facts.items() if before.get(name) != value]
        if changed:
            say(
                f"the run was begun with another {', '.join(changed)}: the results may differ from "
                "those of an uninterrupted run"
            )
        return before

    def of_another_version(self, path: Path, key: str) -> DataError:
        """The error for a file of the run without a key that this version of hcat needs."""
        return DataError(
            f"{path}: written by an earlier version of hcat, without {key!r}, which hcat {__version__} "
            f"needs. Train again with this version: hcat run {self.recipe} --outdir FOLDER"
        )

    def read_summary(self) -> dict[str, Any]:
        """Read the summary of a finished run; a key that is asked for and missing is an error in words.

        Raises:
            DataError: if it is missing or damaged; the message explains how to write it again.
        """
        return self._read_summary(lambda part: SummaryPart(self, part))

    def read_plain_summary(self) -> dict[str, Any]:
        """Read the summary of a finished run, for programs, as plain dictionaries.

        Raises:
            DataError: as ``read_summary``.
        """
        return self._read_summary(dict)

    def _read_summary(self, make: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        try:
            text = self.summary.read_text(encoding="utf-8")
            summary: dict[str, Any] = json.loads(text, object_hook=make)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.summary}: unreadable ({error}). Remove {self.trained.name} in the same folder; "
                "--resume then writes both again."
            ) from None
        return summary

    def write_metrics(self, history: Iterable[Mapping[str, object]]) -> None:
        """Write the records of all epochs so far, atomically."""
        write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in history))

    def write_predictions(self, cohort: Cohort, split: Split, predicted: Prediction) -> None:
        """Write outcome, side of the split, prediction and interval of every patient with a modality."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        layout, present = cohort.layout, cohort.present.numpy()
        known = {f"{name}_label": values for name, values in known_outcomes(cohort).items()}
        columns = prediction_columns(predicted, layout)
        writer.writerow(["patient_id", "split", "modalities", *known, *columns])
        sides = split.names(len(cohort))
        for row, patient in enumerate(cohort.ids_as_written()):
            if sides[row] == "left out":
                continue
            writer.writerow(
                [
                    patient,
                    sides[row],
                    " ".join(np.array(layout.names)[present[row]]),
                    *(values[row] for values in known.values()),
                    *prediction_cells(columns, row),
                ]
            )
        write_text(self.predictions, buffer.getvalue())


class SummaryPart(dict[str, Any]):
    """A table of a run's summary, in which a missing key means that another version has written it."""

    def __init__(self, folder: RunFolder, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.folder = folder

    def __missing__(self, key: str) -> NoReturn:
        raise self.folder.of_another_version(self.folder.summary, key)


def environment(recipe: Recipe, catalog: Catalog, device: torch.device) -> dict[str, object]:
    """What results depend on beside recipe and data: versions, device, threads and components."""
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
