"""TOML -> validated ``Recipe``: every problem at once, before any data is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from hcat_core.catalog import Catalog
from hcat_core.errors import Problem, RecipeError
from hcat_core.overrides import apply_inputs, apply_options
from hcat_core.parameters import check_component
from hcat_core.problems import check_table
from hcat_core.recipe_source import (
    ASSEMBLY,
    NEURAL,
    Tree,
    apply_sets,
    read_recipe_tree,
    uses_neural,
)
from hcat_core.settings import CohortTable, EvaluationTable, SplitTable, Table, TrainingTable
from hcat_core.spelling import did_you_mean

TABLES: dict[str, type[Table]] = {
    "cohort": CohortTable,
    "split": SplitTable,
    "training": TrainingTable,
    "evaluation": EvaluationTable,
}
KEYS = ("seed", "outdir", *TABLES, "estimator", *ASSEMBLY)


@dataclass(frozen=True)
class Recipe:
    """What to run. Component tables are plain values with every default filled in.

    Attributes:
        source: the file, for messages.
        root: absolute; where the cohort's relative paths start.
        seed: of everything random.
        outdir: the run folder, or None for one named after recipe and time.
        cohort: modalities and outcomes; ``cohort.modalities`` holds reader tables.
        split: shares of patients.
        training: the loop.
        evaluation: what is measured after it.
        estimator: component table; ``neural`` trains the four that follow.
        imputer: component table; empty, like the next three, where no estimator is ``neural``.
        fusion: component table.
        heads: component tables by head name, each with its ``task``.
        losses: component tables, each with its ``weight``.
    """

    source: str
    root: Path
    seed: int
    outdir: str | None
    cohort: CohortTable
    split: SplitTable
    training: TrainingTable
    evaluation: EvaluationTable
    estimator: dict[str, Any]
    imputer: dict[str, Any]
    fusion: dict[str, Any]
    heads: dict[str, dict[str, Any]]
    losses: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """The whole recipe, ready to be saved: run again from anywhere, it gives the same run."""
        cohort = self.cohort.model_dump(mode="json", exclude_none=True)
        return {
            "seed": self.seed,
            "cohort": {**cohort, "root": str(self.root)},
            "split": self.split.model_dump(mode="json", exclude_none=True),
            **self.method(),
            "evaluation": self.evaluation.model_dump(mode="json"),
        }

    def method(self) -> dict[str, Any]:
        """The tables that say how to predict, apart from the cohort and its split."""
        result: dict[str, Any] = {"estimator": self.estimator}
        if self.is_neural:
            result |= {
                "imputer": self.imputer,
                "fusion": self.fusion,
                "heads": self.heads,
                "losses": self.losses,
                "training": self.training.model_dump(mode="json"),
            }
        return result

    @property
    def is_neural(self) -> bool:
        """Does any estimator train the recipe's imputer, fusion and heads?"""
        return uses_neural(self.estimator)

    def to_toml(self) -> str:
        """``as_dict`` as TOML."""
        return tomli_w.dumps(self.as_dict())


def load_recipe(
    path: Path,
    catalog: Catalog,
    *,
    sets: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Path] | None = None,
    caller: Path | None = None,
) -> tuple[Recipe, list[str]]:
    """Read, merge and check a recipe. Precedence: recipe < ``sets`` < ``options`` and ``inputs``.

    Args:
        path: the recipe.
        catalog: the components to check it against.
        sets: ``key=value`` settings.
        options: the document's options by name (``options.OPTIONS``); None values are not set.
        inputs: files by modality.
        caller: where ``cohort.root`` and ``inputs`` start; the current directory when not given.

    Returns:
        The recipe, and warnings for options that have nowhere to go.

    Raises:
        RecipeError: with every problem found.
    """
    caller = caller or Path.cwd()
    tree, problems = apply_sets(read_recipe_tree(path), sets)
    problems += apply_inputs(tree, inputs or {}, caller)
    more, warnings = apply_options(tree, options or {}, catalog)
    recipe, found = check_recipe(tree, catalog, path, caller)
    problems += more + found
    if recipe is None or problems:
        raise RecipeError(str(path), problems)
    return recipe, warnings


def check_recipe(
    tree: Tree, catalog: Catalog, path: Path, caller: Path
) -> tuple[Recipe | None, list[Problem]]:
    """Check a merged tree; None with at least one problem."""
    problems = [
        Problem(key, f"no such table or key.{did_you_mean(key, KEYS)}") for key in tree if key not in KEYS
    ]
    tables: dict[str, Any] = {}
    for name, model in TABLES.items():
        value = tree.get(name, {})
        if not isinstance(value, dict):
            problems.append(Problem(name, "expected a table"))
            continue
        tables[name], found = check_table(model, value, name, "no such key.")
        problems += found
    seed = tree.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        problems.append(Problem("seed", f"expected a whole number of at least 0, got {seed!r}"))
    outdir = tree.get("outdir")
    if outdir is not None and not isinstance(outdir, str):
        problems.append(Problem("outdir", f"expected a path, got {outdir!r}"))
    split = tables.get("split")
    if split is not None and split.validation + split.test >= 1:
        problems.append(Problem("split", "validation and test leave no patient for training"))

    cohort = tables.get("cohort")
    raw_cohort = tree.get("cohort")
    modalities = _modalities(raw_cohort if isinstance(raw_cohort, dict) else {}, catalog, problems)
    estimator = check_component(catalog, "estimator", tree.get("estimator", {"use": NEURAL}), "estimator")
    problems += estimator.problems
    tasks = None
    if cohort is not None and cohort.targets is not None:
        tasks = tuple(cohort.targets.tasks)
        problems += check_component(catalog, "reader", cohort.targets.reader, "cohort.targets").problems
        _check_tasks(cohort, problems)
    imputer: dict[str, Any] = {}
    fusion: dict[str, Any] = {}
    heads: dict[str, dict[str, Any]] = {}
    losses: list[dict[str, Any]] = []
    if uses_neural(tree.get("estimator", {"use": NEURAL})):
        checked = check_component(catalog, "imputer", tree.get("imputer", {"use": "none"}), "imputer")
        problems += checked.problems
        imputer = checked.table or {}
        checked = check_component(catalog, "fusion", tree.get("fusion", {"use": "enhanced_hcat"}), "fusion")
        problems += checked.problems
        fusion = checked.table or {}
        heads = _heads(tree.get("heads", {}), catalog, tasks, problems)
        losses = _losses(tree.get("losses", []), catalog, heads, problems)
    else:
        problems += [
            Problem(name, f'has no part in the estimator "{estimator.table["use"]}"; leave it out')
            for name in ASSEMBLY
            if name in tree and estimator.table is not None
        ]
    if problems or cohort is None or estimator.table is None:
        return None, problems
    recipe = Recipe(
        source=str(path),
        root=(caller / cohort.root if cohort.root is not None else path.parent).resolve(),
        seed=seed,
        outdir=outdir,
        cohort=cohort.model_copy(update={"modalities": modalities}),
        split=tables["split"],
        training=tables["training"],
        evaluation=tables["evaluation"],
        estimator=estimator.table,
        imputer=imputer,
        fusion=fusion,
        heads=heads,
        losses=losses,
    )
    return recipe, []


def _modalities(
    cohort: Mapping[str, Any], catalog: Catalog, problems: list[Problem]
) -> dict[str, dict[str, Any]]:
    tables = cohort.get("modalities", {})
    if not isinstance(tables, dict):
        return {}
    result = {}
    for name, table in tables.items():
        checked = check_component(catalog, "reader", table, f"cohort.modalities.{name}")
        problems += checked.problems
        if checked.table is not None:
            result[name] = checked.table
    if not tables:
        problems.append(Problem("cohort.modalities", "is needed: a table for each modality"))
    return result


def _check_tasks(cohort: CohortTable, problems: list[Problem]) -> None:
    assert cohort.targets is not None
    if not cohort.targets.tasks:
        problems.append(Problem("cohort.targets.tasks", "is needed: a table for each task"))
    for name, task in cohort.targets.tasks.items():
        key = f"cohort.targets.tasks.{name}"
        if (task.time is None) != (task.event is None):
            problems.append(Problem(key, "time and event belong together; only one is given"))
        elif task.label is None and task.time is None:
            problems.append(Problem(key, "is needed: a label, or a time and an event"))
        peers = [peer for peer in cohort.targets.tasks if peer != name]
        if task.competing is not None and task.competing not in peers:
            message = f'no other task is named "{task.competing}".{did_you_mean(task.competing, peers)}'
            problems.append(Problem(f"{key}.competing", message))


def _heads(
    tables: object, catalog: Catalog, tasks: tuple[str, ...] | None, problems: list[Problem]
) -> dict[str, dict[str, Any]]:
    if not isinstance(tables, dict):
        problems.append(Problem("heads", "expected a table for each head"))
        return {}
    result: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        checked = check_component(catalog, "head", table, f"heads.{name}", reserved=("task",))
        problems += checked.problems
        task = table.get("task", name) if isinstance(table, dict) else name
        if tasks is not None and task not in tasks:
            problems.append(
                Problem(f"heads.{name}.task", f'no task is named "{task}".{did_you_mean(str(task), tasks)}')
            )
        result[name] = {"task": task, **(checked.table or {})}
    if not tables:
        problems.append(Problem("heads", "is needed: a head for each task"))
    for task in tasks or ():
        if tables and task not in [head["task"] for head in result.values()]:
            problems.append(Problem("heads", f'no head predicts the task "{task}"'))
    return result


def _losses(
    tables: object, catalog: Catalog, heads: Mapping[str, object], problems: list[Problem]
) -> list[dict[str, Any]]:
    if not isinstance(tables, list):
        problems.append(Problem("losses", "expected a list: [[losses]]"))
        return []
    result: list[dict[str, Any]] = []
    for place, table in enumerate(tables):
        key = f"losses.{place}"
        checked = check_component(catalog, "loss", table, key, reserved=("weight",))
        problems += checked.problems
        if not isinstance(table, dict):
            continue
        weight = table.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight >= 0:
            problems.append(Problem(f"{key}.weight", f"expected a number of at least 0, got {weight!r}"))
        head = table.get("head")
        if isinstance(head, str) and head not in heads:
            problems.append(
                Problem(f"{key}.head", f'no head is named "{head}".{did_you_mean(head, heads)}')
            )
        result.append({"weight": weight, **(checked.table or {})})
    if not tables:
        problems.append(Problem("losses", "is needed: at least one loss"))
    return result
