"""Write completed files: measured values unchanged, missing ones imputed, and a mask of which is which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.errors import DataError, UsageError
from hcat_core.interfaces import Imputation, ImputingEstimator
from hcat_core.runs.delta_shift import shift_imputed
from hcat_core.runs.trained_run import TrainedRun
from hcat_core.storage.checkpoint import write_text
from hcat_core.storage.h5_file import write_h5
from hcat_core.storage.new_folder import held_folder
from hcat_core.storage.safe_path import safe_path
from hcat_core.text.counted import counted

ROWS = 2048  # patients imputed at once
DESCRIPTION = "imputation.json"


@dataclass(frozen=True)
class CompletedModality:
    """One modality in a written file: numbers of imputed blocks and cells, and of cells still missing."""

    name: str
    path: Path
    patients: int
    blocks_imputed: int
    cells_imputed: int
    cells_left_missing: int


@dataclass(frozen=True)
class ImputedCohort:
    """Patients and their imputation, in the units of the files.

    Attributes:
        run: whose imputer was used.
        cohort: N patients with at least one modality, without targets.
        parts: the imputation, of ``ROWS`` patients each.
        shifts: of imputed values, in standard deviations of the training patients, by modality.
    """

    run: TrainedRun
    cohort: Cohort
    parts: tuple[Imputation, ...]
    shifts: Mapping[str, float] = field(default_factory=dict)

    @property
    def rows(self) -> list[slice]:
        """The patients of each part."""
        return [slice(start, start + ROWS) for start in range(0, len(self.cohort), ROWS)]

    def means(self) -> Imputation:
        """The whole imputation at its mean, shifted."""
        std, filled = (torch.cat([getattr(p, name) for p in self.parts]) for name in ("std", "filled"))
        whole = Imputation(torch.cat([part.emb for part in self.parts]), std, filled)
        return replace(whole, emb=self.shifted(whole.emb, whole))

    def interval(self) -> tuple[Tensor, Tensor]:
        """Lower and upper ends (N, M, D) of the 90 % intervals of the whole imputation, shifted."""
        ends = zip(*(part.interval() for part in self.parts), strict=True)
        low, high = (
            torch.cat([self.shifted(end, part) for end, part in zip(side, self.parts, strict=True)])
            for side in ends
        )
        return low, high

    def shifted(self, emb: Tensor, imputation: Imputation) -> Tensor:
        """(N', M, D) values with those that ``imputation`` filled shifted."""
        scale = self.run.training.standardiser.scale
        return shift_imputed(emb, imputation, self.shifts, self.cohort.layout, scale)

    def describe(self, folder: Path, more: Mapping[str, object]) -> None:
        """Write ``imputation.json``: which run imputed, by how much values are shifted, and ``more``."""
        recipe = self.run.recipe
        document = {
            "imputer": recipe.imputer,
            "outcome_informed": _is_outcome_informed(self.run),
            "training_data": self.run.training.data,
            "patients": len(self.cohort),
            "shift_sd": {name: self.shifts.get(name, 0.0) for name in self.cohort.layout.names},
            **more,
        }
        write_text(safe_path(folder, DESCRIPTION), json.dumps(document, indent=1, default=str) + "\n")


def impute_patients(
    run: TrainedRun, cohort: Cohort, shifts: Mapping[str, float] | None = None
) -> ImputedCohort:
    """Impute the patients who have any modality.

    Args:
        run: its imputer is used.
        cohort: patients in the run's layout; those without any modality are left out.
        shifts: of imputed values, in standard deviations of the training patients, by modality.

    Raises:
        UsageError: for a run that imputes nothing.
        DataError: if no patient has a modality.
    """
    estimator = run.fitted.estimator
    if not isinstance(estimator, ImputingEstimator):
        raise UsageError(
            f"{run.folder.path}: the estimator {run.recipe.estimator['use']!r} does not impute. Train one "
            "that does, such as recipes/enhanced.toml."
        )
    cohort = cohort[cohort.present.any(dim=1)].without_targets()
    if not len(cohort):
        raise DataError("no patient has a measured value in any modality: there is nothing to impute from.")
    starts = range(0, len(cohort), ROWS)
    parts = tuple(estimator.impute(cohort[slice(start, start + ROWS)]) for start in starts)
    unmeasured = ~cohort.measured[:, cohort.layout.cells].all()
    if bool(unmeasured) and not any(bool(part.filled.any()) for part in parts):
        raise UsageError(
            f"{run.folder.path}: the imputer {run.recipe.imputer['use']!r} leaves gaps as they are."
        )
    return ImputedCohort(run, cohort, parts, shifts or {})


def imputation_warnings(run: TrainedRun, cohort: Cohort) -> list[str]:
    """What to know before imputed values are used: how the imputer was trained, and who is left out."""
    warnings = []
    if _is_outcome_informed(run):
        warnings.append(
            "this imputer was trained with the prediction's gradient: its values are outcome-informed. Do "
            "not use them as if they were measured in an analysis of the same outcome."
        )
    left_out = int((~cohort.present.any(dim=1)).sum())
    if left_out:
        warnings.append(f"{counted(left_out, 'patient has', 'patients have')} no measured value: left out")
    return warnings


def _is_outcome_informed(run: TrainedRun) -> bool:
    """Whether the imputer learned from outcomes, through the prediction's gradient."""
    return run.recipe.is_neural and run.recipe.training.imputer_gradient


def write_completed(
    run: TrainedRun, cohort: Cohort, folder: Path, shifts: Mapping[str, float] | None = None
) -> list[CompletedModality]:
    """Write ``NAME.h5`` for each modality, with one row per patient, in the units of the input files.

    Datasets: ``patient_id`` (N), ``embedding`` (N, d) with NaN where nothing could be imputed,
    ``imputed`` (N, d) bool, ``std`` (N, d) predictive standard deviation, 0 where measured, ``low`` and
    ``high`` (N, d) ends of the 90 % interval, equal to the value where measured, ``quality`` (N,) as read,
    or, for an imputed block, the explained share of its variance. The attribute ``shift_sd`` is the
    modality's shift. ``imputation.json`` describes the whole. All files are written, or none.

    Args:
        run: its imputer is used.
        cohort: N patients in the run's layout; those without any modality are left out.
        folder: new or empty.
        shifts: of imputed values, in standard deviations of the training patients, by modality.

    Raises:
        UsageError: for a run that imputes nothing, or a folder that is not empty.
        DataError: if no patient has a modality.
        StorageError: when the disk is full or not writable.
    """
    with held_folder(folder) as temporary:
        imputed = impute_patients(run, cohort, shifts)
        imputed.describe(temporary, {"draws": None})
        written = write_modalities(imputed, imputed.means(), temporary, {}, imputed.interval())
    return [replace(one, path=folder / one.path.name) for one in written]


def write_modalities(
    imputed: ImputedCohort,
    completed: Imputation,
    folder: Path,
    attributes: Mapping[str, str | float],
    interval: tuple[Tensor, Tensor] | None = None,
) -> list[CompletedModality]:
    """Write ``NAME.h5`` for each modality, with these ``attributes`` and the modality's ``shift_sd``."""
    written = []
    for column, name in enumerate(imputed.cohort.layout.names):
        path = safe_path(folder, f"{name}.h5")
        data = _datasets(imputed, completed, column)
        if interval is not None:
            cells, missing = slice(0, imputed.cohort.layout.widths[column]), np.isnan(data["embedding"])
            for end, values in zip(("low", "high"), interval, strict=True):
                data[end] = np.where(missing, np.nan, values[:, column, cells].numpy())
        write_h5(path, data, {**attributes, "shift_sd": imputed.shifts.get(name, 0.0)})
        written.append(counts(imputed, completed, column, path))
    return written


def counts(imputed: ImputedCohort, completed: Imputation, column: int, path: Path) -> CompletedModality:
    """How many blocks and cells of one modality were imputed, and how many cells are left missing."""
    cohort = imputed.cohort
    modality = cohort.layout.modalities[column]
    filled = completed.filled[:, column, : modality.width]
    blocks = int(_imputed_blocks(cohort, completed, column).sum())
    unknown = int((~(filled | cohort.measured[:, column, : modality.width])).sum())
    return CompletedModality(modality.name, path, len(cohort), blocks, int(filled.sum()), unknown)


def _imputed_blocks(cohort: Cohort, completed: Imputation, column: int) -> Tensor:
    """(N,) whether a modality is absent, and imputed."""
    return completed.filled[:, column].any(dim=1) & ~cohort.present[:, column]


def _datasets(imputed: ImputedCohort, completed: Imputation, column: int) -> dict[str, np.ndarray]:
    """The datasets of one modality's file."""
    cohort = imputed.cohort
    modality = cohort.layout.modalities[column]
    cells = slice(0, modality.width)
    filled, measured = completed.filled[:, column, cells], cohort.measured[:, column, cells]
    std = completed.std[:, column, cells]
    unknown = ~(filled | measured)
    relative = (std / imputed.run.training.standardiser.scale[column, cells]).square()
    explained = (1 - (relative * filled).sum(dim=1) / filled.sum(dim=1).clamp(min=1)).clamp(0, 1)
    block = _imputed_blocks(cohort, completed, column)
    data: dict[str, np.ndarray] = {
        "patient_id": np.array(cohort.ids_as_written(), dtype=object),
        "embedding": completed.emb[:, column, cells].masked_fill(unknown, torch.nan).numpy(),
        "imputed": filled.numpy(),
        "std": std.masked_fill(unknown, torch.nan).numpy(),
        "quality": torch.where(block, explained, cohort.quality[:, column]).numpy(),
    }
    if modality.features:
        data["feature_names"] = np.array(modality.features, dtype=object)
    return data
