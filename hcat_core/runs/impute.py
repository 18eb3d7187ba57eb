"""Write completed files: measured values unchanged, missing ones imputed, and a mask of which is which."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.errors import DataError, UsageError
from hcat_core.interfaces import Imputation, ImputingEstimator
from hcat_core.runs.trained_run import TrainedRun
from hcat_core.storage.h5_file import write_h5
from hcat_core.storage.safe_path import safe_path

ROWS = 2048  # patients imputed at once


@dataclass(frozen=True)
class CompletedModality:
    """One written file, with the numbers of imputed blocks and cells, and of cells still missing."""

    name: str
    path: Path
    patients: int
    blocks_imputed: int
    cells_imputed: int
    cells_left_missing: int


def write_completed(run: TrainedRun, cohort: Cohort, folder: Path) -> list[CompletedModality]:
    """Write ``NAME.h5`` for each modality, with one row per patient, in the units of the input files.

    Datasets: ``patient_id`` (N), ``embedding`` (N, d) with NaN where nothing could be imputed,
    ``imputed`` (N, d) bool, ``std`` (N, d) predictive standard deviation, 0 where measured, ``quality``
    (N,) as read, or, for an imputed block, the explained share of its variance.

    Args:
        run: its imputer is used.
        cohort: N patients in the run's layout; those without any modality are left out.
        folder: new or empty.

    Raises:
        UsageError: for a run that imputes nothing, or a folder that is not empty.
        DataError: if no patient has a modality.
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
    completed = _impute(estimator, cohort)
    unmeasured = ~cohort.measured[:, cohort.layout.cells].all()
    if not bool(completed.filled.any()) and bool(unmeasured):
        raise UsageError(
            f"{run.folder.path}: the imputer {run.recipe.imputer['use']!r} leaves gaps as they are."
        )
    folder.mkdir(parents=True, exist_ok=True)
    scale = run.training.standardiser.scale
    return [
        _write_modality(cohort, completed, scale, column, folder)
        for column in range(len(cohort.layout.modalities))
    ]


def _impute(estimator: ImputingEstimator, cohort: Cohort) -> Imputation:
    """Impute a cohort in batches of ``ROWS`` patients."""
    emb, std, filled = [], [], []
    for start in range(0, len(cohort), ROWS):
        part = estimator.impute(cohort[slice(start, start + ROWS)])
        emb.append(part.emb)
        std.append(part.std)
        filled.append(part.filled)
    return Imputation(torch.cat(emb), torch.cat(std), torch.cat(filled))


def _write_modality(
    cohort: Cohort, completed: Imputation, scale: torch.Tensor, column: int, folder: Path
) -> CompletedModality:
    """Write one modality's file; ``scale`` (M, D) are the training patients' standard deviations."""
    modality = cohort.layout.modalities[column]
    cells = slice(0, modality.width)
    filled, measured = completed.filled[:, column, cells], cohort.measured[:, column, cells]
    std = completed.std[:, column, cells]
    unknown = ~(filled | measured)
    block = filled.any(dim=1) & ~cohort.present[:, column]
    relative = (std / scale[column, cells]).square()
    explained = (1 - (relative * filled).sum(dim=1) / filled.sum(dim=1).clamp(min=1)).clamp(0, 1)
    data: dict[str, np.ndarray] = {
        "patient_id": np.array(cohort.ids_as_written(), dtype=object),
        "embedding": completed.emb[:, column, cells].masked_fill(unknown, torch.nan).numpy(),
        "imputed": filled.numpy(),
        "std": std.masked_fill(unknown, torch.nan).numpy(),
        "quality": torch.where(block, explained, cohort.quality[:, column]).numpy(),
    }
    if modality.features:
        data["feature_names"] = np.array(modality.features, dtype=object)
    path = safe_path(folder, f"{modality.name}.h5")
    write_h5(path, data)
    return CompletedModality(
        modality.name, path, len(cohort), int(block.sum()), int(filled.sum()), int(unknown.sum())
    )
