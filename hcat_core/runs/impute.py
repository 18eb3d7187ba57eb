"""Completed files: what was measured as it came, what was missing as it was imputed, and which is which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.errors import DataError, UsageError
from hcat_core.interfaces import ImputingEstimator
from hcat_core.runs.trained_run import TrainedRun
from hcat_core.storage.h5_file import write_h5
from hcat_core.storage.safe_path import safe_path

ROWS = 2048  # patients imputed at once


@dataclass(frozen=True)
class CompletedModality:
    """One written file: how many blocks and cells were imputed, and what stayed unknown."""

    name: str
    path: Path
    patients: int
    blocks_imputed: int
    cells_imputed: int
    cells_left_missing: int


def write_completed(run: TrainedRun, cohort: Cohort, folder: Path) -> list[CompletedModality]:
    """``NAME.h5`` for each modality, one row a patient, in the units of the files.

    Datasets: ``patient_id`` (N), ``embedding`` (N, d) with NaN where nothing could be imputed,
    ``imputed`` (N, d) bool, ``std`` (N, d) predictive standard deviation, 0 where measured, ``quality``
    (N,) as read, or where a block was imputed the share of its variance that is known.

    Args:
        run: whose imputer fills.
        cohort: N patients on the model's axes; those without any modality are left out.
        folder: new or empty.

    Raises:
        UsageError: for a run that imputes nothing, or a folder in use.
        DataError: when no patient has a modality.
    """
    estimator = run.fitted.estimator
    if not isinstance(estimator, ImputingEstimator):
        raise UsageError(
            f"{run.folder.path}: the estimator {run.recipe.estimator['use']!r} does not impute. Train one "
            "that does, such as recipes/enhanced.toml."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty. Name another --outdir.")
    cohort = cohort[cohort.present.any(dim=1)].without_targets()
    if not len(cohort):
        raise DataError("no patient has a measured value in any modality: there is nothing to impute from.")
    emb, std, filled = [], [], []
    for start in range(0, len(cohort), ROWS):
        part = estimator.impute(cohort[slice(start, start + ROWS)])
        emb.append(part.emb)
        std.append(part.std)
        filled.append(part.filled)
    if not bool(torch.cat(filled).any()) and not bool(cohort.measured[:, cohort.layout.cells].all()):
        raise UsageError(
            f"{run.folder.path}: the imputer {run.recipe.imputer['use']!r} leaves gaps as they are."
        )
    whole, spread, imputed = torch.cat(emb), torch.cat(std), torch.cat(filled)
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(run, cohort, column, whole, spread, imputed, folder) for column in range(whole.shape[1])]


def _write(
    run: TrainedRun,
    cohort: Cohort,
    column: int,
    whole: torch.Tensor,
    spread: torch.Tensor,
    imputed: torch.Tensor,
    folder: Path,
) -> CompletedModality:
    modality = cohort.layout.modalities[column]
    cells = slice(0, modality.width)
    filled, measured = imputed[:, column, cells], cohort.measured[:, column, cells]
    unknown = ~(filled | measured)
    block = filled.any(dim=1) & ~cohort.present[:, column]
    relative = (spread[:, column, cells] / run.training.standardiser.scale[column, cells]).square()
    known = (1 - (relative * filled).sum(dim=1) / filled.sum(dim=1).clamp(min=1)).clamp(0, 1)
    values = whole[:, column, cells].masked_fill(unknown, torch.nan)
    data: dict[str, np.ndarray] = {
        "patient_id": np.array(cohort.ids_as_written(), dtype=object),
        "embedding": values.numpy(),
        "imputed": filled.numpy(),
        "std": spread[:, column, cells].masked_fill(unknown, torch.nan).numpy(),
        "quality": torch.where(block, known, cohort.quality[:, column]).numpy(),
    }
    if modality.features:
        data["feature_names"] = np.array(modality.features, dtype=object)
    path = safe_path(folder, f"{modality.name}.h5")
    write_h5(path, data)
    return CompletedModality(
        modality.name, path, len(cohort), int(block.sum()), int(filled.sum()), int(unknown.sum())
    )
