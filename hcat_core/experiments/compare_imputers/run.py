"""One imputer in one setting: fit it, and score what it fills."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hcat_core.cohort import Cohort
from hcat_core.errors import HcatError, RecipeError
from hcat_core.experiments.compare_imputers.cohorts import Trial, make_trial
from hcat_core.experiments.compare_imputers.results import ImputerResult
from hcat_core.experiments.compare_imputers.scores import probe_auc, score_imputation
from hcat_core.experiments.compare_imputers.settings import LIMIT, ORACLE, ImputerInSetting
from hcat_core.experiments.jobs import Job
from hcat_core.imputation.conformal import Calibrated
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.recipe.component_tables import check_component, construct
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import Catalog, load_catalog
from hcat_core.registry.discovery import Allowed
from hcat_core.runs.recipe_cohort import read_recipe_cohort
from hcat_core.synth.finite_sample import finite_sample_limit
from hcat_core.synth.oracle import oracle_imputation


def run_job(job: Job[ImputerInSetting], allowed: Allowed | None = None) -> ImputerResult:
    """Fit one imputer, with the plugins ``allowed``, in one setting and score it.

    A failure is a result too, and other jobs go on.
    """
    setting, table = job.task.setting, job.task.table
    try:
        catalog = load_catalog(allowed=allowed)
        trial = make_trial(setting, partial(read_recipe_at, catalog=catalog))
        result = _score_limit(job, trial) if table is None else _score_imputer(job, table, trial, catalog)
    except HcatError as error:
        result = ImputerResult(job.name, setting, str(error))
    except Exception as error:  # a third-party imputer may raise anything
        result = ImputerResult(job.name, setting, f"{type(error).__name__}: {error}")
    return result


def read_recipe_at(path: str, catalog: Catalog) -> Cohort:
    """The cohort of the recipe at ``path``."""
    recipe, _ = load_recipe(Path(path), catalog)
    return read_recipe_cohort(recipe, catalog)[0]


def _score_imputer(
    job: Job[ImputerInSetting], table: Mapping[str, Any], trial: Trial, catalog: Catalog
) -> ImputerResult:
    checked = check_component(catalog, "imputer", table, "imputer")
    if checked.table is None:
        raise RecipeError("the comparison", checked.problems)
    seed, layout = job.task.setting.seed, trial.train.layout
    torch.manual_seed(seed)
    imputer = Calibrated(layout, construct(catalog, "imputer", checked.table, (layout,), Path.cwd()))
    start = time.perf_counter()
    imputer.fit(trial.train.without_targets(), trial.validation.without_targets(), FitContext(seed))
    fit_seconds = time.perf_counter() - start
    imputer.eval()
    with torch.no_grad():
        start = time.perf_counter()
        test = imputer(trial.test.without_targets())
        transform_seconds = time.perf_counter() - start
        drawn = test.draw(1, torch.Generator().manual_seed(seed))[0]
        train = imputer(trial.train.without_targets())
    fills = bool(test.filled.any())
    return ImputerResult(
        job.name,
        job.task.setting,
        scores=score_imputation(trial, test, drawn if fills else None),
        auc=probe_auc(trial, train, test),
        fit_seconds=fit_seconds,
        transform_seconds=transform_seconds,
    )


def _score_limit(job: Job[ImputerInSetting], trial: Trial) -> ImputerResult:
    """The oracle, or the best that the training patients allow, in standardised cells."""
    synthetic = trial.synthetic
    assert synthetic is not None and job.name in (ORACLE, LIMIT)
    measured = synthetic.measured
    if job.name == LIMIT:
        train_rows = np.arange(job.task.setting.patients)
        best = finite_sample_limit(synthetic, train_rows, np.arange(len(measured)))
    else:
        best = oracle_imputation(synthetic.parameters, synthetic.complete, measured, synthetic.missingness)
    scale, shift = trial.standardiser.scale, trial.standardiser.mean
    mean = (torch.from_numpy(best.mean).float() - shift) / scale
    std = torch.from_numpy(best.variance).float().sqrt() / scale
    filled = torch.from_numpy(synthetic.cells & ~measured)

    def imputation(rows: slice, cohort: Cohort) -> Imputation:
        emb = torch.where(filled, mean, 0.0)[rows] + cohort.emb
        return Imputation(emb, std[rows], filled[rows])

    train = imputation(slice(0, len(trial.train)), trial.train)
    test = imputation(slice(len(measured) - len(trial.test), len(measured)), trial.test)
    scores = score_imputation(trial, test, None)
    return ImputerResult(job.name, job.task.setting, scores=scores, auc=probe_auc(trial, train, test))
