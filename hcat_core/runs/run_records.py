"""What one run works with, and what its stages leave for each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hcat_core.cohort import Cohort
from hcat_core.data.assembly import ReadReport
from hcat_core.data.data_quality import QualityChecks
from hcat_core.data.leakage import LeakCheck
from hcat_core.data.splits import Split
from hcat_core.evaluation.summary import TrainingSummary
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.runs.folder import RunFolder
from hcat_core.runs.recipe_cohort import Say
from hcat_core.training.checkpoints import Epoch
from hcat_core.training.context import TrainingContext
from hcat_core.training.distributed import SINGLE_PROCESS, Processes
from hcat_core.training.fitting import Fitted


@dataclass(frozen=True)
class Run:
    """What one run works with, from its first file to its last.

    Attributes:
        recipe: what to do.
        catalog: the components it is done with.
        folder: the run folder, held by the main process.
        device: where to compute.
        say: shows one message.
        warn: shows one message that nobody should miss.
        processes: this process and those that share the training.
    """

    recipe: Recipe
    catalog: Catalog
    folder: RunFolder
    device: torch.device
    say: Say
    warn: Say
    processes: Processes = SINGLE_PROCESS


@dataclass(frozen=True)
class RunData:
    """The cohort of a run, how it was read and split, what was checked, and what was found."""

    cohort: Cohort
    report: ReadReport
    split: Split
    findings: tuple[str, ...]
    quality: QualityChecks
    leaks: LeakCheck


@dataclass(frozen=True)
class FittedRun:
    """What fitting a run leaves for its evaluation.

    Attributes:
        fitted: the estimator, its recalibration and thresholds.
        data: the cohort, split as the estimator has used it.
        context: that it was fitted in, without the folder of its checkpoints.
        environment: what the numbers depend on beside recipe and data.
        training: how the trainings of the neural estimator went.
        history: every epoch of these.
        checkpoint: the file with the weights of a single training; None where ``estimator/`` holds them.
    """

    fitted: Fitted
    data: RunData
    context: TrainingContext
    environment: dict[str, object]
    training: TrainingSummary | None = None
    history: Sequence[Epoch] = ()
    checkpoint: Path | None = None
