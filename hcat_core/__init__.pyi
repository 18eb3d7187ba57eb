# Types of the names that __init__.py imports when they are first used.

from hcat_core.api.cohort import Cohort
from hcat_core.api.comparison import Comparison, compare
from hcat_core.api.evaluation import CohortEvaluation
from hcat_core.api.findings import FindingWarning
from hcat_core.api.imputers import (
    GaussianImputer,
    IterativeImputer,
    KnnImputer,
    MeanImputer,
    MiceImputer,
    make_imputer,
)
from hcat_core.api.inspection import Inspection, inspect
from hcat_core.api.trained_run import TrainedRun, fit, load
from hcat_core.api.tuning import Tuning, tune
from hcat_core.errors import HcatError
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.registry.component import Component
from hcat_core.registry.hooks import hookimpl
from hcat_core.runs.run import resume_run, run_recipe
from hcat_core.runs.trained_run import load_run

__version__: str

__all__ = [
    "__version__",
    "Cohort",
    "CohortEvaluation",
    "Comparison",
    "Component",
    "FindingWarning",
    "GaussianImputer",
    "HcatError",
    "Inspection",
    "IterativeImputer",
    "KnnImputer",
    "MeanImputer",
    "MiceImputer",
    "TrainedRun",
    "Tuning",
    "compare",
    "fit",
    "hookimpl",
    "inspect",
    "load",
    "load_catalog",
    "load_recipe",
    "load_run",
    "make_imputer",
    "resume_run",
    "run_recipe",
    "tune",
]
