"""Run the jobs of a comparison, in parallel, and never one twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed

from hcat_core.calibration import Calibrated
from hcat_core.catalog import load_catalog
from hcat_core.checkpoint import write_text
from hcat_core.cohort import Cohort
from hcat_core.comparison.cohorts import Trial, make_trial
from hcat_core.comparison.scores import probe_auc, score_imputation
from hcat_core.comparison.settings import LIMIT, ORACLE, Job
from hcat_core.errors import HcatError, RecipeError
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.parameters import check_component, construct

Record = dict[str, Any]


def run_jobs(
    jobs: Sequence[Job], folder: Path, *, n_jobs: int, finished: Callable[[Record, int, int], None]
) -> list[Record]:
    """Every job's record; those whose result file is in ``folder`` are read, not run.

    Args:
        jobs: what to run.
        folder: of result files, one a job, written whole or not at all.
        n_jobs: processes, of one thread each.
        finished: called with each record, how many are done, and how many there are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records: dict[str, Record] = {}
    waiting = []
    for job in jobs:
        found = _read(folder / f"{job.key}.json")
        if found is None:
            waiting.append(job)
        else:
            records[job.key] = found
            finished(found, len(records), len(jobs))
    for key, record in _run_all(waiting, n_jobs):
        write_text(folder / f"{key}.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
        records[key] = record
        finished(record, len(records), len(jobs))
    return [records[job.key] for job in jobs]


def run_job(job: Job) -> tuple[str, Record]:
    """Fit one imputer in one setting and score it; a failure is a record too."""
    torch.set_num_threads(1)
    record: Record = {"name": job.name, "setting": asdict(job.setting), "error": None}
    try:
        trial = make_trial(job.setting, read_recipe_at)
        if job.table is None:
            record |= _limit(job, trial)
        else:
            record |= _imputer(job.table, trial, job.setting.seed)
    except HcatError as error:
        record["error"] = str(error)
    except Exception as error:  # a stranger's imputer may raise anything; the others go on
        record["error"] = f"{type(error).__name__}: {error}"
    return job.key, record


def _run_all(jobs: Sequence[Job], n_jobs: int) -> Iterator[tuple[str, Record]]:
    if n_jobs == 1:
        threads = torch.get_num_threads()
        for job in jobs:
            yield run_job(job)
        torch.set_num_threads(threads)
        return
    workers = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    yield from workers(delayed(run_job)(job) for job in jobs)


def _imputer(table: dict[str, Any], trial: Trial, seed: int) -> Record:
    catalog = load_catalog()
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


def read_recipe_at(path: str) -> Cohort:
    """The cohort of the recipe at ``path``."""
    from hcat_core.recipe import load_recipe
    from hcat_core.run import read_recipe_cohort

    catalog = load_catalog()
    recipe, _ = load_recipe(Path(path), catalog)
    return read_recipe_cohort(recipe, catalog)[0]


def _read(path: Path) -> Record | None:
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if record.get("error") is None else None
