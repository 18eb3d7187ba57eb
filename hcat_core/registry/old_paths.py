"""Old import paths of modules that have moved: they work in this release, and each use warns.

``MOVED`` and ``RENAMED`` are the whole list. At an old path stands a module that takes every name from the
new module, and warns with the import to write instead.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PREFIX = "hcat moved"


class OldPathWarning(FutureWarning):
    """An import path is used that the next release does not have."""


MOVED = {
    f"hcat_core.{old}": f"hcat_core.{new}"
    for old, new in {
        "aggregation": "data.aggregation",
        "align": "data.alignment",
        "analysis": "evaluation.analysis",
        "assemble": "data.assembly",
        "assembly": "training.neural_parts",
        "augment": "training.augmentation",
        "baselines": "evaluation.baselines",
        "build": "recipe.build",
        "calibration": "imputation.conformal",
        "catalog": "registry.catalog",
        "checkpoint": "storage.checkpoint",
        "comparison": "experiments.compare_imputers",
        "completed": "runs.impute",
        "component": "registry.component",
        "crossval": "experiments.compare_recipes",
        "describe": "recipe.documentation",
        "device": "training.device",
        "doubts": "data.data_quality",
        "draws": "training.common_random",
        "explanation": "evaluation.shapley",
        "external": "runs.external_validation",
        "fitting": "training.fitting",
        "folds": "data.folds",
        "h5_file": "storage.h5_file",
        "hidden_blocks": "imputation.hidden_blocks",
        "hooks": "registry.hooks",
        "imputation_scores": "imputation.scores",
        "inside": "storage.safe_path",
        "inspection": "evaluation.cohort_counts",
        "jobs": "experiments.jobs",
        "launched": "training.launch",
        "leakage": "data.leakage",
        "model": "training.model",
        "names": "recipe.names",
        "neural": "training.neural_estimator",
        "new_cohort": "runs.new_patients",
        "options": "recipe.options",
        "outcome_metrics": "metrics.time_to_event",
        "overrides": "recipe.command_line",
        "parameters": "recipe.parameters",
        "patient_ids": "data.patient_ids",
        "patient_index": "data.patient_index",
        "patterns": "data.missingness_patterns",
        "plugins": "registry.discovery",
        "prediction": "runs.predict",
        "problems": "recipe.validation",
        "quoting": "text.quoting",
        "recalibration": "metrics.recalibration",
        "recipe_cohort": "runs.recipe_cohort",
        "recipe_source": "recipe.loading",
        "recipe_tables": "recipe.checks",
        "run": "runs.run",
        "run_folder": "runs.folder",
        "run_lock": "runs.lock",
        "settings": "recipe.schema",
        "spelling": "text.spelling",
        "splits": "data.splits",
        "standardise": "data.standardisation",
        "subgroups": "evaluation.subgroups",
        "summary": "evaluation.summary",
        "survival": "metrics.survival",
        "targets": "data.outcomes",
        "toml_text": "recipe.toml_text",
        "trained": "runs.trained_run",
        "used": "recipe.provenance",
        "workers": "training.distributed",
    }.items()
} | {
    f"hcat_builtin.readers.{old}": f"hcat_builtin.readers.{new}"
    for old, new in {
        "h5": "hdf5.reader",
        "h5ad": "anndata.h5ad",
        "h5mu": "anndata.h5mu",
        "hdf5_worker": "isolation.reader",
        "pt": "tensors.reader",
        "table": "tables.reader",
    }.items()
}
"""Old module -> new module. Modules below an old one have moved with it."""

RENAMED = {
    "hcat_builtin.readers.hdf5_worker:WorkerReader": "hcat_builtin.readers.isolation.reader:IsolatedReader",
    "hcat_core.aggregation:Room": "hcat_core.data.preallocation:PreallocatedCells",
    "hcat_core.analysis:paired_auc_difference": "hcat_core.metrics.intervals:paired_auc_difference",
    "hcat_core.assembly:Assembly": "hcat_core.training.neural_parts:NeuralParts",
    "hcat_core.device:products_in": "hcat_core.training.device:matmul_precision",
    "hcat_core.doubts:Doubt": "hcat_core.data.data_quality:QualityIssue",
    "hcat_core.doubts:find_doubts": "hcat_core.data.data_quality:find_quality_issues",
    "hcat_core.doubts:refuse_doubts": "hcat_core.data.data_quality:refuse_quality_issues",
    "hcat_core.draws:CommonNumbers": "hcat_core.interfaces:CommonNumbers",
    "hcat_core.draws:categories": "hcat_core.interfaces:categories",
    "hcat_core.draws:normal": "hcat_core.interfaces:normal",
    "hcat_core.evaluation:Predicted": "hcat_core.interfaces:Prediction",
    "hcat_core.evaluation:auc_interval": "hcat_core.metrics.intervals:auc_interval",
    "hcat_core.evaluation:best_threshold": "hcat_core.metrics.discrimination:best_threshold",
    "hcat_core.evaluation:binary_metrics": "hcat_core.metrics.discrimination:binary_metrics",
    "hcat_core.evaluation:predict_cohort": "hcat_core.training.inference:predict_cohort",
    "hcat_core.fitting:assembly_of": "hcat_core.training.fitting:neural_parts_of",
    "hcat_core.inside:inside": "hcat_core.storage.safe_path:safe_path",
    "hcat_core.inspection:found_layouts": "hcat_core.evaluation.cohort_counts:describe_readers",
    "hcat_core.new_cohort:Files": "hcat_core.runs.new_patients:PatientFiles",
    "hcat_core.new_cohort:outside_training": "hcat_core.runs.new_patients:warn_outside_training",
    "hcat_core.new_cohort:read_new_cohort": "hcat_core.runs.new_patients:read_new_patients",
    "hcat_core.outcome_metrics:calibration": "hcat_core.metrics.calibration:calibration",
    "hcat_core.parameters:Checked": "hcat_core.recipe.component_tables:Checked",
    "hcat_core.parameters:check_component": "hcat_core.recipe.component_tables:check_component",
    "hcat_core.parameters:construct": "hcat_core.recipe.component_tables:construct",
    "hcat_core.patient_ids:SpellingBook": "hcat_core.data.patient_ids:IdNormaliser",
    "hcat_core.prediction:Answers": "hcat_core.runs.predict:PatientPredictions",
    "hcat_core.prediction:answer": "hcat_core.runs.predict:predict_patients",
    "hcat_core.recipe:Recipe": "hcat_core.recipe.recipe:Recipe",
    "hcat_core.recipe:check_recipe": "hcat_core.recipe.recipe:check_recipe",
    "hcat_core.recipe:load_recipe": "hcat_core.recipe.recipe:load_recipe",
    "hcat_core.recipe_source:drop_assembly": "hcat_core.recipe.loading:drop_neural_tables",
    "hcat_core.run_lock:held": "hcat_core.storage.folder_lock:folder_lock",
    "hcat_core.run_lock:new_run": "hcat_core.runs.lock:create_locked",
    "hcat_core.run_lock:old_run": "hcat_core.runs.lock:open_locked",
    "hcat_core.settings:CohortTable": "hcat_core.data.schema:CohortTable",
    "hcat_core.settings:Count": "hcat_core.registry.parameter_types:Count",
    "hcat_core.settings:DemoTable": "hcat_core.data.schema:DemoTable",
    "hcat_core.settings:Fraction": "hcat_core.registry.parameter_types:Fraction",
    "hcat_core.settings:Positive": "hcat_core.registry.parameter_types:Positive",
    "hcat_core.settings:SplitTable": "hcat_core.data.schema:SplitTable",
    "hcat_core.settings:Table": "hcat_core.registry.parameter_types:Table",
    "hcat_core.settings:TargetsTable": "hcat_core.data.schema:TargetsTable",
    "hcat_core.settings:TaskTable": "hcat_core.data.schema:TaskTable",
    "hcat_core.storage:make_folder": "hcat_core.storage.atomic_files:make_folder",
    "hcat_core.storage:naming": "hcat_core.storage.atomic_files:storage_errors",
    "hcat_core.storage:remove_partial": "hcat_core.storage.atomic_files:remove_partial",
    "hcat_core.storage:sync": "hcat_core.storage.atomic_files:sync",
    "hcat_core.storage:written_whole": "hcat_core.storage.atomic_files:atomic_write",
    "hcat_core.summary:describe_in_words": "hcat_core.evaluation.cohort_counts:describe_cohort",
    "hcat_core.summary:score_tasks": "hcat_core.evaluation.scores:score_tasks",
    "hcat_core.trained:Training": "hcat_core.runs.trained_run:TrainingStatistics",
    "hcat_core.training:Checkpoints": "hcat_core.training.checkpoints:Checkpoints",
    "hcat_core.training:Progress": "hcat_core.training.checkpoints:Progress",
    "hcat_core.training:build_optimiser": "hcat_core.training.step:build_optimiser",
    "hcat_core.training:epoch_seed": "hcat_core.training.loop:epoch_seed",
    "hcat_core.training:train": "hcat_core.training.loop:train",
    "hcat_core.training:validate": "hcat_core.training.loop:validate",
    "hcat_core.workers:Workers": "hcat_core.training.distributed:Processes",
    "hcat_core.workers:joined": "hcat_core.training.distributed:process_group",
}
"""Old ``module:name`` -> new one, where the name changed or did not move with its module.

Also the names of old modules whose path is a package today (``hcat_core.recipe``).
"""


def moved_name(module: str, name: str) -> object:
    """What is ``module.name`` in its new place, with a warning to whoever asked for it.

    To be called from a module's ``__getattr__``: the warning names the line that used the attribute.

    Raises:
        AttributeError: when nothing of that name has moved.
    """
    new = RENAMED.get(f"{module}:{name}", f"{_new_path(module) or ''}:{name}")
    new_module, _, new_name = new.partition(":")
    if not new_module or name.startswith("__"):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(new_module), new_name)
    advice = f"write `from {new_module} import {new_name}`; the next release has no {module}.{name}"
    warnings.warn(f"{PREFIX} {module}.{name}: {advice}", OldPathWarning, stacklevel=3)
    return value


def install() -> None:
    """Let the import system find old modules, after everything else was asked."""
    if not any(isinstance(finder, _OldModules) for finder in sys.meta_path):
        sys.meta_path.append(_OldModules())


class _OldModule(ModuleType):
    """Stands at an old path and takes every name from the new module."""

    def __getattr__(self, name: str) -> object:
        if name == "__all__":  # for `import *`
            return [public for public in dir(self) if not public.startswith("_")]
        return moved_name(self.__name__, name)

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module(_new_path(self.__name__) or ""))


class _OldModules(MetaPathFinder, Loader):
    """Finds a module by its old path."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec for an old path, or None."""
        new = _new_path(fullname)
        if new is None:
            return None
        is_package = hasattr(importlib.import_module(new), "__path__")
        return ModuleSpec(fullname, self, is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module that forwards."""
        return _OldModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is run: the module has no code."""


def _new_path(old: str) -> str | None:
    """The new path of a module, or None for one that has not moved."""
    head, rest = old, ""
    while head:
        if head in MOVED:
            return MOVED[head] + rest
        head, dot, last = head.rpartition(".")
        rest = f"{dot}{last}{rest}"
    return None
