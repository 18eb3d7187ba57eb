"""Searches without training: each value of a key is a predictor of its own, made of noise."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hcat_core.cohort import Cohort, Targets
from hcat_core.experiments.compare_recipes import run
from hcat_core.experiments.jobs import Backend
from hcat_core.experiments.tune.nested_folds import SearchPlan
from hcat_core.experiments.tune.search import Progress, plan_search
from hcat_core.experiments.tune.space_check import space_of
from hcat_core.experiments.tune.tuning import tune
from hcat_core.interfaces import Prediction
from hcat_core.layout import Layout, Modality, Task
from hcat_core.recipe.recipe import load_recipe
from hcat_core.recipe.search_tables import TuneTable
from hcat_core.registry.catalog import load_catalog

RECIPES = Path(__file__).parents[3] / "recipes"
PATIENTS = 150
SPACE = {"estimator.rounds": {"low": 1, "high": 100_000}}
PLAN = SearchPlan(trials=11, folds=2, inner_folds=2)


@pytest.fixture(scope="session")
def catalog():
    return load_catalog()


@pytest.fixture(scope="session")
def recipes():
    """The folder of shipped recipes."""
    return RECIPES


@pytest.fixture(scope="session")
def recipe(catalog):
    """Gradient boosting, for the keys that it has; it is never fitted here."""
    return load_recipe(RECIPES / "baselines" / "hist_gradient_boosting.toml", catalog)[0]


@pytest.fixture(scope="session")
def cohort():
    """150 patients whose outcome is drawn by a coin."""
    rng = np.random.default_rng(7)
    values = torch.from_numpy(rng.normal(size=(PATIENTS, 1, 1)).astype(np.float32))
    known = torch.ones_like(values, dtype=torch.bool)
    return Cohort(
        patient_ids=tuple(f"P{number}" for number in range(PATIENTS)),
        layout=Layout((Modality("clinical", 1),), (Task("death", 365, "death"),)),
        emb=values,
        measured=known,
        present=known[:, :, 0],
        quality=torch.ones(PATIENTS, 1),
        n_rows=torch.ones(PATIENTS, 1, dtype=torch.int32),
        targets=Targets(
            labels=torch.from_numpy(rng.permutation(np.arange(PATIENTS) % 2))[:, None],
            time=torch.full((PATIENTS, 1), torch.nan),
            event=torch.full((PATIENTS, 1), -1),
        ),
    )


@pytest.fixture(scope="module", autouse=True)
def noise(catalog):
    """Fit nothing: the value of ``estimator.rounds`` names the noise that is predicted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            run, "load_catalog", lambda allowed: catalog
        )  # plugins are not looked for in each job
        patch.setattr(run, "fit_estimator", lambda recipe, *others: _Noise(recipe.estimator["rounds"]))
        yield


class _Noise:
    """Predicts noise, the same for a patient wherever it is asked for."""

    thresholds = (0.5,)

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.noise = dict(
            zip((f"P{number}" for number in range(PATIENTS)), rng.random(PATIENTS), strict=True)
        )

    def predict(self, cohort):
        values = [[self.noise[patient]] for patient in cohort.patient_ids]
        return Prediction(torch.tensor(values, dtype=torch.float32))


@pytest.fixture(scope="session")
def search(catalog, recipe, cohort):
    """A function that searches in a folder, and keeps what was told."""

    def call(folder, plan=PLAN, job=lambda *facts: None, of=cohort, **tune_table):
        tuned = replace(recipe, tune=TuneTable.model_validate({"space": SPACE, **tune_table}))
        space = space_of(tuned, catalog)
        planned = plan_search("boosting", tuned, space, of, plan, {})
        told = SimpleNamespace(folder=folder, jobs=[], trials=[])

        def finished(result, done, jobs):
            told.jobs.append((done, jobs))
            job(result, done, jobs)

        told.tuning = tune(
            planned,
            catalog,
            folder,
            backend=Backend(1),
            progress=Progress(finished, lambda *facts: told.trials.append(facts)),
            warn=pytest.fail,
        )
        return told

    return call


@pytest.fixture(scope="module")
def found(noise, search, tmp_path_factory):
    """A finished search; not to be changed."""
    return search(tmp_path_factory.mktemp("search") / "tuning")
