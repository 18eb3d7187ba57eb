"""One recipe on one fold: fit on the rest, score the fold's patients once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from hcat_core import __version__
from hcat_core.cohort import Cohort
from hcat_core.data.folds import Fold
from hcat_core.data.missingness_patterns import subsets
from hcat_core.data.splits import hold_out_patients
from hcat_core.errors import HcatError
from hcat_core.experiments.jobs import Record
from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.discrimination import binary_metrics
from hcat_core.metrics.survival import known_weights
from hcat_core.metrics.time_to_event import time_metrics
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.registry.discovery import Allowed
from hcat_core.training.context import TrainingContext
from hcat_core.training.fitting import Fitted, fit_estimator, neural_parts_of

VALIDATION = 0.15  # of the patients outside the fold
MOST_MODALITIES = 6  # up to which every subset is scored


@dataclass(frozen=True)
class Job:
    """A recipe on a fold. ``seed`` is the recipe's; ``data`` the cohort's fingerprint."""

    name: str
    recipe: Recipe
    fold: Fold
    data: str

    @property
    def key(self) -> str:
        """Names the result file: another recipe, cohort, fold or hcat, another file."""
        digest = hashlib.sha256()
        digest.update(
            json.dumps(
                {
                    "method": self.recipe.method(),
                    "mc_samples": self.recipe.evaluation.mc_samples,
                    "seed": self.recipe.seed,
                    "data": self.data,
                    "fold": [self.fold.repeat, self.fold.number, list(self.fold.tasks)],
                    "test": self.fold.test.tolist(),
                    "hcat": __version__,
                },
                sort_keys=True,
            ).encode()
        )
        return digest.hexdigest()[:20]


def run_job(job: Job, cohort: Cohort, allowed: Allowed | None) -> Record:
    """Fit and score, with the plugins allowed; a failure is a record too, and the others go on."""
    fold = job.fold
    record: Record = {
        "name": job.name,
        "repeat": fold.repeat,
        "fold": fold.number,
        "tasks": {},
        "error": None,
    }
    try:
        catalog = load_catalog(allowed=allowed)
        seed = job.recipe.seed + 100 * fold.repeat + fold.number
        rest = cohort[fold.rest]
        train, held = hold_out_patients(rest, VALIDATION, seed)
        context = TrainingContext(seed, parts=neural_parts_of(job.recipe, catalog))
        fitted = fit_estimator(job.recipe, catalog, rest[train], rest[held], context)
        _score(record, fitted, cohort, fold)
    except HcatError as error:
        record["error"] = str(error)
    except Exception as error:  # a stranger's estimator may raise anything
        record["error"] = f"{type(error).__name__}: {error}"
    return record


def _score(record: Record, fitted: Fitted, cohort: Cohort, fold: Fold) -> None:
    test = cohort[fold.test]
    assert cohort.targets is not None and test.targets is not None
    blind = test.without_targets()
    predicted = fitted.predict(blind)
    for name in fold.tasks:
        column = test.layout.task_names.index(name)
        p, y = predicted.probability[:, column], test.targets.labels[:, column].numpy()
        task, rest = test.layout.tasks[column], cohort.targets[fold.rest]
        weights = known_weights(test.targets, column, task.horizon_days, rest)
        record["tasks"][name] = {
            **vars(binary_metrics(p, y, fitted.thresholds[column], weights)),
            **vars(calibration(p, y, weights)),
            **vars(time_metrics(task, column, rest, test.targets, predicted.curves[:, column])),
            "rows": fold.test.tolist(),
            "probability": [round(float(value), 6) for value in p],
            "known_weights": [round(float(value), 6) for value in weights],
            "subsets": {},
        }
    if len(test.layout.modalities) > MOST_MODALITIES:
        return
    for kept in subsets(len(test.layout.modalities)):
        left = blind.hide(~kept.expand(len(blind), -1))
        some = left.present.any(dim=1)
        # Nothing is known of a patient who has none of the subset: any model must say the mean.
        probability = np.zeros((len(blind), len(blind.layout.tasks)))
        if some.any():
            found = fitted.predict_once(left[some])
            probability[:] = found.mean(axis=0)
            probability[some.numpy()] = found
        name = "+".join(n for n, keep in zip(test.layout.names, kept.tolist(), strict=True) if keep)
        for wanted in fold.tasks:
            column = test.layout.task_names.index(wanted)
            y = test.targets.labels[:, column].numpy()
            known = y >= 0
            both = 0 < (y[known] == 1).sum() < known.sum()
            auc = float(roc_auc_score(y[known], probability[known, column])) if both else None
            record["tasks"][wanted]["subsets"][name] = auc
