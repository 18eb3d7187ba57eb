"""hcat: outcome prediction on incomplete multimodal cohorts.

The names of ``__all__`` are the public interface; each is imported when it is first used, so that
``import hcat_core`` and ``hcat --help`` stay fast and need no torch.

    catalog = hcat_core.load_catalog()
    recipe, warnings = hcat_core.load_recipe(Path("cohort.toml"), catalog)
    summary = hcat_core.run_recipe(recipe, catalog, outdir=Path("run"), say=print)

Packages follow the way of the data: ``data``, ``imputation``, ``metrics``, ``recipe``, ``training``,
``evaluation``, ``runs``, ``experiments``. None of them imports a plugin.
"""

import importlib
from typing import Any

from hcat_core.registry import old_paths

__version__ = "0.1.0"

_PUBLIC = {
    "Cohort": "hcat_core.cohort",
    "Component": "hcat_core.registry.component",
    "HcatError": "hcat_core.errors",
    "hookimpl": "hcat_core.registry.hooks",
    "load_catalog": "hcat_core.registry.catalog",
    "load_recipe": "hcat_core.recipe.recipe",
    "load_run": "hcat_core.runs.trained_run",
    "resume_run": "hcat_core.runs.run",
    "run_recipe": "hcat_core.runs.run",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604

old_paths.install()


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
