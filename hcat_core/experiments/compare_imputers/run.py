"""One imputer in one setting: fit it, and score what it fills."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hcat_core.cohort import Cohort
from hcat_core.errors import HcatError, RecipeError
from hcat_core.experiments.compare_imputers.cohorts import Trial, make_trial
from hcat_core.experiments.compare_imputers.scores import probe_auc, score_imputation
from hcat_core.experiments.compare_imputers.settings import LIMIT, ORACLE, Job
from hcat_core.experiments.jobs import Record
from hcat_core.imputation.conformal import Calibrated
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.recipe.component_tables import check_component, construct
from hcat_core.registry.catalog import Catalog, load_catalog
from hcat_core.registry.discovery import Allowed


def run_job(job: Job, allowed: Allowed | None = None) -> Record:
    """Fit one imputer, with the plugins allowed, in one setting and score it; a failure is a record too."""
    record: Record = {"name": job.name, "setting": asdict(job.setting), "error": None}
    try:
        catalog = load_catalog(allowed=allowed)
        trial = make_trial(job.setting, partial(read_recipe_at, catalog=catalog))
        if job.table is None:
            record |= _limit(job, trial)
        else:
            record |= _imputer(job.table, trial, job.setting.seed, catalog)
    except HcatError as error:
        record["error"] = str(error)
    except Exception as error:  # a stranger's imputer may raise anything; the others go on
        record["error"] = f"{type(error).__name__}: {error}"
    return record


def _imputer(table: dict[str, Any], trial: Trial, seed: int, catalog: Catalog) -> Record:
    checked = check_component(catalog, "imputer", table, "imputer")
    if checked.table is None:
        raise RecipeError("the comparison", checked.problems)
    torch.manual_seed(seed)
    layout = trial.train.layout
    imputer = Calibrated(layout, construct(catalog, "imputer", checked.table, (layout,), Path.cwd()))
    began = time.perf_counter()
    imputer.fit(trial.train.without_targets(), trial.validation.without_targets(), FitContext(seed))
    fit_seconds = time.perf_counter() - began
    imputer.eval()
    with torch.no_grad():
        began = time.perf_counter()
        test = imputer(trial.test.without_targets())
        seconds = time.perf_counter() - began
        drawn = test.draw(1, torch.Generator().manual_seed(seed))[0]
        train = imputer(trial.train.without_targets())
    fills = bool(test.filled.any())
    record = score_imputation(trial, test.emb, test.std, test.filled, drawn if fills else None)
    record["fit_seconds"] = fit_seconds
    record["transform_seconds"] = seconds
    record["auc"] = probe_auc(trial, train, test)
    return record


def _limit(job: Job, trial: Trial) -> Record:
    """The oracle, or the limit of what the training patients can tell, in standardised cells."""
    import numpy as np

    from hcat_core.synth.oracle import finite_sample_limit, oracle_imputation

    synthetic = trial.synthetic
    assert synthetic is not None and job.name in (ORACLE, LIMIT)
    measured = synthetic.missingness.present[:, :, None] & ~synthetic.missingness.gaps & synthetic.cells
    parameters = synthetic.parameters
    if job.name == LIMIT:
        train = np.arange(job.setting.patients)
        parameters = finite_sample_limit(synthetic, train, measured)
    found = oracle_imputation(parameters, synthetic.complete, measured, synthetic.missingness)
    scale, shift = trial.standardiser.scale, trial.standardiser.mean
    mean = (torch.from_numpy(found.mean).float() - shift) / scale
    std = torch.from_numpy(found.variance).float().sqrt() / scale
    filled = torch.from_numpy(synthetic.cells & ~measured)
    sides = slice(0, len(trial.train)), slice(len(measured) - len(trial.test), len(measured))
    test = Imputation(
        torch.where(filled, mean, 0.0)[sides[1]] + trial.test.emb, std[sides[1]], filled[sides[1]]
    )
    train_side = Imputation(
        torch.where(filled, mean, 0.0)[sides[0]] + trial.train.emb, std[sides[0]], filled[sides[0]]
    )
    record = score_imputation(trial, test.emb, test.std, test.filled, None)
    record["auc"] = probe_auc(trial, train_side, test)
    record["fit_seconds"] = record["transform_seconds"] = None
    return record


def read_recipe_at(path: str, catalog: Catalog) -> Cohort:
    """The cohort of the recipe at ``path``."""
    from hcat_core.recipe.recipe import load_recipe
    from hcat_core.runs.recipe_cohort import read_recipe_cohort

    recipe, _ = load_recipe(Path(path), catalog)
    return read_recipe_cohort(recipe, catalog)[0]
