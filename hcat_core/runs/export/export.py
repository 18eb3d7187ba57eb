"""``export_run``: trace a neural run, compare the file with the run, and put it in its place."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram

from hcat_core.cohort import Cohort
from hcat_core.errors import HcatError, UsageError
from hcat_core.registry.catalog import Catalog
from hcat_core.runs.export.description import DESCRIPTION, describe
from hcat_core.runs.export.tracing import give_own_memory, trace
from hcat_core.runs.export.trial_patients import trial_patients
from hcat_core.runs.export.untraceable import untraceable_components
from hcat_core.runs.trained_run import TrainedRun
from hcat_core.storage.atomic_files import atomic_write
from hcat_core.training.neural_estimator import NeuralEstimator
from hcat_core.training.traceable_ensemble import TraceableEnsemble

ENDING = ".pt2"
LARGEST_DIFFERENCE = 1e-5  # of a probability, between the file and the run


@dataclass(frozen=True)
class Exported:
    """A pipeline that was written.

    Attributes:
        file: that ``torch.export.load`` reads.
        description: the JSON beside it.
        members: of the ensemble.
        draws: over which ``hcat predict`` averages, and the file does not; 0 where both predict the same.
        difference: largest one of a probability, between the file and the run.
        patients: synthetic ones, on whom they were compared.
    """

    file: Path
    description: Path
    members: int
    draws: int
    difference: float
    patients: int


def export_run(run: TrainedRun, catalog: Catalog, path: Path) -> Exported:
    """Write the fitted pipeline of a neural run as one file that torch alone computes.

    The file is compared with the run on synthetic patients before it is put in its place.

    Args:
        run: of the estimator ``neural``.
        catalog: of components.
        path: of the file, which ends with ``.pt2``.

    Raises:
        UsageError: for a run that cannot be exported, naming why.
        HcatError: where the file would predict otherwise than the run.
        StorageError: for a disk that is full or not writable.
    """
    refuse_ending(path)
    estimator = _neural(run)
    patients = trial_patients(run)
    program = _trace(run, estimator, catalog, patients)
    members = len(estimator.members)
    draws = run.recipe.evaluation.mc_samples if members == 1 else 0
    text = json.dumps(describe(run, members, draws), indent=2) + "\n"
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={DESCRIPTION: text})
    content.seek(0)
    difference = _largest_difference(run, torch.export.load(content), patients)
    if not difference <= LARGEST_DIFFERENCE:
        raise HcatError(
            f"{path} was not written: it would differ from the run by {difference:.1e} on synthetic "
            f"patients, and {LARGEST_DIFFERENCE:.0e} is allowed. Check that the method traceable of a "
            "plugin's component gives what the component gives."
        )
    description = path.with_suffix(".json")
    with atomic_write(description) as beside, atomic_write(path) as temporary:
        beside.write_text(text, encoding="utf-8")
        temporary.write_bytes(content.getbuffer())
    return Exported(path, description, members, draws, difference, len(patients))


def refuse_ending(path: Path) -> None:
    """Refuse a file of another ending, before anything is computed.

    Raises:
        UsageError: as ``export_run`` does.
    """
    if path.suffix != ENDING:
        example = f"{path.stem}{ENDING}"
        raise UsageError(f"--output {path}: name a file that ends with {ENDING}, such as {example}.")


def _neural(run: TrainedRun) -> NeuralEstimator:
    """The estimator of a run that can be exported."""
    estimator, folder = run.fitted.estimator, run.folder.path
    if not isinstance(estimator, NeuralEstimator):
        raise UsageError(
            f"{folder}: torch does not compute the estimator {run.recipe.estimator['use']!r}, so that it "
            'cannot be exported. Train a run with use = "neural", as in the recipes enhanced and hancock.'
        )
    others = [outcome.name for outcome in run.layout.outcomes if outcome.kind != "event"]
    if others:
        raise UsageError(
            f"{folder}: {', '.join(others)}: outcomes of several classes, and numbers, cannot be exported. "
            "Train a run with the other outcomes alone."
        )
    return estimator


def _trace(
    run: TrainedRun, estimator: NeuralEstimator, catalog: Catalog, patients: Cohort
) -> ExportedProgram:
    """The pipeline as a program.

    Raises:
        UsageError: with every component that cannot be traced.
    """
    try:
        ensemble = TraceableEnsemble(run.layout, estimator.members, run.fitted.recalibration)
        program = trace(ensemble, (patients.emb, patients.measured, patients.quality))
        give_own_memory(program)
    except Exception as error:  # a component may raise anything, and torch many kinds of errors
        model = estimator.members[0].model.eval()
        named = untraceable_components(run.recipe, catalog, model, patients)
        named = named or ["the components by themselves can be traced, but not all together (--debug)"]
        raise UsageError(
            f"{run.folder.path} cannot be exported, and nothing was written. These components are not "
            "tensor operations alone:\n  " + "\n  ".join(named) + "\nTrain a run with others, or give "
            "them a method traceable (docs/how-to/export.md)."
        ) from error
    return program


def _largest_difference(run: TrainedRun, program: ExportedProgram, patients: Cohort) -> float:
    """Of probabilities and curves, of all patients at once, and of the first and of three alone.

    Infinite where one of them is NaN and the other is not.
    """
    expected = run.fitted.single_pass(patients)
    module, largest = program.module(), 0.0
    for number in (len(patients), 3, 1):
        rows = slice(0, number)
        found = module(patients.emb[rows], patients.measured[rows], patients.quality[rows])
        pairs = ((found["probability"], expected.probability), (found["curve"], expected.curves))
        largest = max(largest, *(_difference(one, other[rows]) for one, other in pairs))
    return largest


def _difference(found: Tensor, expected: np.ndarray) -> float:
    one = found.numpy()
    if not np.array_equal(np.isnan(one), np.isnan(expected)):
        return float("inf")
    return float(np.nan_to_num(np.abs(one - expected)).max())
