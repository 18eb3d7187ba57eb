"""Write a synthetic cohort: five HDF5 files as a hospital might have them, and ``truth.h5``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np

from hcat_core.storage.atomic_files import sync
from hcat_core.storage.h5_file import new_h5
from hcat_core.storage.new_folder import new_folder
from hcat_core.synth.generator import SyntheticCohort
from hcat_core.synth.other_outcomes import CLASSES, SCORE, SUBTYPE, OtherOutcomes

LABELS = ("surv_5yr_label", "rec_2yr_label")
TIMES = ("days_to_death_or_last_info", "days_to_recurrence_or_last_info")
EVENTS = ("death_event", "recurrence_event")
MOST_SLIDES = 6
ROW_SPREAD = 0.5  # standard deviation of a slide's embedding around its patient's


def write_cohort(
    directory: Path, cohort: SyntheticCohort, others: OtherOutcomes | None = None
) -> dict[str, int]:
    """Write all files, or none: they are written to a hidden folder and moved at the end.

    ``directory`` may be an empty folder or a link to one, which is then filled and not replaced. The same
    spec gives the same bytes. Classes and a number stand beside the events where ``others`` are given.
    Returns file names and sizes in bytes.

    Raises:
        UsageError: if ``directory`` exists and is not empty.
        StorageError: if it cannot be created, or the disk is full or not writable.
    """
    with new_folder(Path(directory)) as temporary:
        return write_files(temporary, cohort, others)


def write_files(
    folder: Path, cohort: SyntheticCohort, others: OtherOutcomes | None = None
) -> dict[str, int]:
    """Write all files to an existing folder and sync them; returns file names and sizes in bytes.

    Raises:
        OSError: if the disk is full or not writable.
    """
    _write_modalities(folder, cohort, others)
    _write_truth(folder / "truth.h5", cohort, others)
    files = sorted(folder.iterdir())
    for path in files:
        sync(path)
    return {path.name: path.stat().st_size for path in files}


def _write_modalities(directory: Path, cohort: SyntheticCohort, others: OtherOutcomes | None) -> None:
    rng = np.random.default_rng(np.random.SeedSequence([cohort.spec.seed, 8]))
    ids = np.array(cohort.ids, dtype=object)
    for column, (name, width) in enumerate(cohort.spec.widths.items()):
        rows = np.flatnonzero(cohort.missingness.present[:, column])
        cells = cohort.recorded.cells[rows, column, :width].copy()
        cells[cohort.missingness.gaps[rows, column, :width]] = np.nan
        quality = cohort.recorded.quality[rows, column]
        data: dict[str, np.ndarray] = {"patient_id": ids[rows], "embedding": cells, "quality": quality}
        if name == "spatial":
            data = _as_slides(ids[rows], cells, quality, rng)
        if column == 0:
            outcomes = cohort.outcomes
            for task in range(outcomes.labels.shape[1]):
                data[LABELS[task]] = outcomes.labels[rows, task]
                data[TIMES[task]] = outcomes.time[rows, task].astype(np.float32)
                data[EVENTS[task]] = outcomes.event[rows, task]
            if others is not None:
                data[SUBTYPE] = np.array(CLASSES, dtype=object)[others.classes[rows]]
                data[SCORE] = others.score[rows].astype(np.float32)
        _write(directory / f"{name}.h5", data)


def _as_slides(
    ids: np.ndarray, cells: np.ndarray, quality: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """One to six rows per patient, whose mean weighted by ``n_patches`` is the patient's embedding."""
    slides = rng.integers(1, MOST_SLIDES + 1, size=len(ids))
    patient = np.repeat(np.arange(len(ids)), slides)
    patches = rng.integers(50, 2000, size=len(patient)).astype(np.int32)
    scatter = rng.standard_normal((len(patient), cells.shape[1])) * ROW_SPREAD
    starts = np.r_[0, np.cumsum(slides)[:-1]]
    weight = patches / np.add.reduceat(patches, starts)[patient]
    centre = np.add.reduceat(scatter * weight[:, None], starts, axis=0)
    rows = cells[patient] + (scatter - centre[patient]).astype(np.float32)
    return {
        "patient_id": ids[patient],
        "embedding": rows.astype(np.float32),
        "quality": quality[patient],
        "n_patches": patches,
    }


def _write_truth(path: Path, cohort: SyntheticCohort, others: OtherOutcomes | None) -> None:
    more = {} if others is None else {"class_probability": others.probability, "score": others.expected}
    missing, outcomes = cohort.missingness, cohort.outcomes
    _write(
        path,
        {
            "patient_id": np.array(cohort.ids, dtype=object),
            "embedding": cohort.complete,
            "present": missing.present,
            "gaps": missing.gaps,
            "noise": cohort.recorded.noise,
            "cluster": cohort.cluster,
            "factors": cohort.factors,
            "risk": outcomes.risk,
            "event_probability": outcomes.probability,
            **more,
            **_parameters(cohort),
            "missingness/intercept": missing.intercept,
            "missingness/direction": missing.direction,
            "missingness/offset": missing.offset,
        },
        spec=json.dumps(asdict(cohort.spec), sort_keys=True),
    )


def _parameters(cohort: SyntheticCohort) -> dict[str, np.ndarray]:
    p, risk = cohort.parameters, cohort.risk_model
    data = {
        "parameters/weights": p.weights,
        "parameters/means": p.means,
        "parameters/loadings": p.loadings.astype(np.float32),
        "parameters/noise": p.noise,
        "risk_model/coefficients": risk.coefficients,
        "risk_model/cluster": risk.cluster,
        "risk_model/pairs": risk.pairs,
        "risk_model/products": risk.products,
    }
    if p.curve is not None:
        data["parameters/curve_direction"] = p.curve.direction
        data["parameters/curve_phase"] = p.curve.phase
        data["parameters/curve_weights"] = p.curve.weights
    return data


def _write(path: Path, data: Mapping[str, np.ndarray], **attributes: str) -> None:
    # No times, and a fixed format version: the same data gives the same bytes.
    with new_h5(path, libver=("earliest", "v110"), track_order=False) as file:
        for name, values in data.items():
            dtype = h5py.string_dtype("utf-8") if values.dtype == object else values.dtype
            file.create_dataset(name, data=values, dtype=dtype, track_times=False)
        file.attrs.update(attributes)
