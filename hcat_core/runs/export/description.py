"""What an exported file needs to be used: what its inputs and outputs are, and what it does not hold."""

from __future__ import annotations

from typing import Any

import torch

from hcat_core import __version__
from hcat_core.runs.trained_run import TrainedRun

DESCRIPTION = "hcat.json"  # among the extra files of the exported one
INPUTS = {
    "emb": "(N, M, D) float32 in the units of the files, modalities and features in the order below; "
    "ignored where not measured",
    "measured": "(N, M, D) bool, False beyond a modality's width",
    "quality": "(N, M) float32 in [0, 1], the reader's score; 1 where there is none",
}
OUTPUTS = {
    "probability": "(N, T) float64, recalibrated; NaN for a patient without any measured cell",
    "curve": "(N, T, 12) float64, probability by each of the task's curve_days; NaN where it has none",
}
OUTSIDE = (
    "reading files: patient ids, units, categories to columns, aggregation of a patient's rows",
    "90 % intervals, which take draws of what is missing",
    "draws of imputed values, contributions, and what to measure next",
    "warnings of values outside the range of the training patients",
)


def describe(run: TrainedRun, members: int, draws: int) -> dict[str, Any]:
    """What the file holds, as plain values: no patient's data.

    Args:
        run: that was exported.
        members: of its ensemble.
        draws: over which ``hcat predict`` averages, and the file does not.
    """
    tasks = zip(run.layout.tasks, run.fitted.thresholds, strict=True)
    equals = "hcat predict: the mean over members of one pass at the imputation's mean"
    if draws:
        equals = f"one pass at the imputation's mean; hcat predict averages {draws} draws"
    return {
        "hcat": __version__,
        "torch": torch.__version__,
        "members": members,
        "equals": equals,
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "outside": list(OUTSIDE),
        "modalities": [
            {"name": m.name, "width": m.width, "features": list(m.features)} for m in run.layout.modalities
        ],
        "tasks": [
            {
                "name": task.name,
                "output": task.output_name,
                "horizon_days": task.horizon_days,
                "curve_days": list(task.curve_days),
                "threshold": threshold,
            }
            for task, threshold in tasks
        ],
    }
