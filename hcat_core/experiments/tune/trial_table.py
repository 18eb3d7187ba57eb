"""The trials of all searches as CSV: one row each."""

from __future__ import annotations

import csv
import io

from hcat_core.experiments.tune.results import TuningResult
from hcat_core.experiments.tune.space import as_text


def as_csv(result: TuningResult) -> str:
    """A row for each trial of each search: its score, whether it was chosen, and a column for each key.

    The cell of a key that the trial's components do not have is empty, as are all of trial 0.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["search", "trial", "score", "chosen", "error", *result.keys])
    for search in (*result.searches, result.final):
        for trial in search.trials:
            score = "" if trial.score is None else f"{trial.score:.6g}"
            chosen = int(trial.number == search.best.number)
            cells = [as_text(trial.settings[key]) if key in trial.settings else "" for key in result.keys]
            writer.writerow([search.name, trial.number, score, chosen, trial.error or "", *cells])
    return buffer.getvalue()
