"""hcat: outcome prediction on incomplete multimodal cohorts.

    import hcat_core as hcat

    cohort = hcat.Cohort.from_frames(
        {"rna": rna, "clinical": clinical}, outcomes=seen,
        time="months", event="dead", time_unit="months", horizons={"death_5y": 1826},
    )
    run = hcat.fit(cohort, "small_cohort")
    run.predict({"rna": new_rna})

The names of ``__all__`` are the public interface; each is imported when it is first used, so that
``import hcat_core`` and ``hcat --help`` stay fast and need no torch. ``docs/how-to/python.md`` is a
tutorial, ``docs/reference/python.md`` lists everything.

Packages follow the way of the data: ``data``, ``imputation``, ``metrics``, ``recipe``, ``training``,
``evaluation``, ``runs``, ``experiments``; ``api`` and ``cli`` above them. None imports a plugin.
"""

import importlib
from typing import Any

from hcat_core.registry import old_paths

__version__ = "0.1.0"

_PUBLIC = {
    "Cohort": "hcat_core.api.cohort",
    "CohortEvaluation": "hcat_core.api.evaluation",
    "Comparison": "hcat_core.api.comparison",
    "Component": "hcat_core.registry.component",
    "FindingWarning": "hcat_core.api.findings",
    "GaussianImputer": "hcat_core.api.imputers",
    "HcatError": "hcat_core.errors",
    "Inspection": "hcat_core.api.inspection",
    "IterativeImputer": "hcat_core.api.imputers",
    "KnnImputer": "hcat_core.api.imputers",
    "MeanImputer": "hcat_core.api.imputers",
    "MiceImputer": "hcat_core.api.imputers",
    "TrainedRun": "hcat_core.api.trained_run",
    "Tuning": "hcat_core.api.tuning",
    "compare": "hcat_core.api.comparison",
    "fit": "hcat_core.api.trained_run",
    "hookimpl": "hcat_core.registry.hooks",
    "inspect": "hcat_core.api.inspection",
    "load": "hcat_core.api.trained_run",
    "load_catalog": "hcat_core.registry.catalog",
    "load_recipe": "hcat_core.recipe.recipe",
    "load_run": "hcat_core.runs.trained_run",
    "make_imputer": "hcat_core.api.imputers",
    "resume_run": "hcat_core.runs.run",
    "run_recipe": "hcat_core.runs.run",
    "tune": "hcat_core.api.tuning",
}

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

old_paths.install()


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
