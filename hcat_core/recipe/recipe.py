"""TOML -> validated ``Recipe``: every problem at once, before any data is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import tomli_w

from hcat_core.data.schema import CohortTable, SplitTable
from hcat_core.errors import Problem, RecipeError
from hcat_core.recipe.checks import (
    check_baselines,
    check_heads,
    check_losses,
    check_modalities,
    check_tasks,
    check_trained,
)
from hcat_core.recipe.command_line import apply_inputs, apply_options
from hcat_core.recipe.component_tables import check_component
from hcat_core.recipe.loading import (
    ASSEMBLY,
    NEURAL,
    allowed_by,
    apply_sets,
    read_recipe_tree,
    uses_neural,
)
from hcat_core.recipe.schema import TABLES, EvaluationTable, TrainingTable, elsewhere
from hcat_core.recipe.toml_text import Tree, values_in
from hcat_core.recipe.validation import check_table
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.discovery import NO_PLUGINS
from hcat_core.text.quoting import shown
from hcat_core.text.spelling import did_you_mean

KEYS = ("seed", "outdir", "plugins", *dict.fromkeys([*TABLES, "estimator", *ASSEMBLY]))
LARGEST = 2**63 - 1  # of TOML's whole numbers
LARGEST_SEED = 2**31 - 1  # what every library takes


@dataclass(frozen=True)
class Recipe:
    """What to run. Component tables are plain values with every default filled in.

    Attributes:
        source: the file, for messages.
        root: absolute; where the cohort's relative paths start.
        seed: of everything random.
        outdir: the run folder, or None for one named after recipe and time.
        plugins: names of the plugins that may be imported beside hcat's own; None lets in all.
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
    plugins: tuple[str, ...] | None
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
        cohort = self.cohort.model_dump(mode="json", exclude={"root"}, exclude_none=True)
        return {
            "seed": self.seed,
            **({} if self.plugins is None else {"plugins": list(self.plugins)}),
            "cohort": {"root": str(self.root), **cohort},
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
    outcomes_named = any(text.partition("=")[0].strip() == "cohort.targets.path" for text in sets)
    problems += apply_inputs(tree, inputs or {}, caller, outcomes_named)
    more, warnings = apply_options(tree, options or {}, catalog)
    if catalog.allowed == NO_PLUGINS:
        tree["plugins"] = []
    recipe, found = check_recipe(tree, catalog, path, caller)
    problems += more + found
    if recipe is None or problems:
        raise RecipeError(str(path), problems)
    return recipe, warnings


def check_recipe(
    tree: Tree, catalog: Catalog, path: Path, caller: Path
) -> tuple[Recipe | None, list[Problem]]:
    """Check a merged tree; None with at least one problem."""
    problems = [Problem(key, f"no such table or key.{_meant(key)}") for key in tree if key not in KEYS]
    problems += _too_large({key: value for key, value in tree.items() if key != "seed"})
    tables: dict[str, Any] = {}
    for name, model in TABLES.items():
        value = tree.get(name, {})
        if not isinstance(value, dict):
            problems.append(Problem(name, _no_table(name, value)))
            continue
        tables[name], found = check_table(model, value, name, "no such key.")
        problems += found
    seed, outdir, plugins = tree.get("seed", 0), tree.get("outdir"), tree.get("plugins")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= LARGEST_SEED:
        problems.append(
            Problem("seed", f"expected a whole number in [0, {LARGEST_SEED}], got {shown(seed)}")
        )
    problems += _check_outdir(outdir)
    if plugins is not None and not (isinstance(plugins, list) and all(isinstance(p, str) for p in plugins)):
        problems.append(Problem("plugins", f"expected a list of plugins' names, got {shown(plugins)}"))
    allowed = allowed_by(tree, str(path))
    if allowed is not None:
        catalog = catalog.restricted(allowed)
    split = tables.get("split")
    if split is not None and split.validation + split.test >= 1:
        problems.append(Problem("split", "validation and test leave no patient for training"))

    cohort = tables.get("cohort")
    modalities: dict[str, dict[str, Any]] = {}
    tasks = None
    if cohort is not None:
        modalities, found = check_modalities(cohort, catalog)
        problems += found
        if cohort.targets is not None:
            tasks = tuple(cohort.targets.tasks)
            problems += check_component(catalog, "reader", cohort.targets.reader, "cohort.targets").problems
            problems += check_tasks(cohort.targets)
    estimator = check_component(catalog, "estimator", tree.get("estimator", {"use": NEURAL}), "estimator")
    problems += estimator.problems
    imputer: dict[str, Any] = {}
    fusion: dict[str, Any] = {}
    heads: dict[str, dict[str, Any]] = {}
    losses: list[dict[str, Any]] = []
    # Where the estimator itself is wrong the other tables are checked too, so that all is told at once.
    if uses_neural(tree.get("estimator", {"use": NEURAL})) or estimator.table is None:
        checked = check_component(catalog, "imputer", tree.get("imputer", {"use": "none"}), "imputer")
        problems += checked.problems
        imputer = checked.table or {}
        checked = check_component(catalog, "fusion", tree.get("fusion", {"use": "enhanced_hcat"}), "fusion")
        problems += checked.problems
        fusion = checked.table or {}
        if "heads" in tree or "losses" in tree or estimator.table is not None:
            read, fault = check_heads(tree.get("heads", {}), catalog, tasks)
            problems += fault
            losses, found = check_losses(tree.get("losses", []), catalog, read)
            problems += found
            heads = read or {}
            # Which head a loss would train is known where its head and its name are sound.
            if losses and not fault and not any(p.key.endswith((".head", ".use")) for p in found):
                problems += check_trained(heads, losses, catalog)
    else:
        problems += [
            Problem(name, f'has no part in the estimator "{estimator.table["use"]}"; leave it out')
            for name in ASSEMBLY
            if name in tree
        ]
    evaluation = tree.get("evaluation")
    if tables.get("evaluation") is not None and isinstance(evaluation, dict) and "baselines" in evaluation:
        problems += check_baselines(evaluation["baselines"], catalog)
    if problems or cohort is None or estimator.table is None:
        return None, problems
    recipe = Recipe(
        source=str(path),
        root=(caller / cohort.root if cohort.root is not None else path.parent).resolve(),
        seed=seed,
        outdir=outdir,
        plugins=None if plugins is None else tuple(plugins),
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


def _meant(key: str) -> str:
    return elsewhere(key) or did_you_mean(key, KEYS)


def _no_table(name: str, value: object) -> str:
    said = f"expected a table, [{name}], got {shown(value)}"
    return f"{said}: [[{name}]] makes a list" if isinstance(value, list) else said


def _too_large(tree: Tree) -> list[Problem]:
    """Whole numbers that a saved recipe could not hold."""
    message = f"the number is too large: whole numbers end at {LARGEST}"
    return [
        Problem(key, message)
        for key, _, value in values_in(tree)
        if isinstance(value, int) and abs(value) > LARGEST
    ]


def _check_outdir(outdir: object) -> list[Problem]:
    """A recipe may come from anywhere: it chooses a folder below the caller's, ``--outdir`` any."""
    if outdir is None:
        return []
    if not isinstance(outdir, str) or not outdir or "\0" in outdir:
        return [Problem("outdir", f"expected a path, got {shown(outdir)}")]
    parts = {*PurePosixPath(outdir).parts, *PureWindowsPath(outdir).parts}
    if ".." in parts or PurePosixPath(outdir).is_absolute() or PureWindowsPath(outdir).anchor:
        said = f"{shown(outdir)} leads out of the folder that hcat is run in; --outdir may lead anywhere"
        return [Problem("outdir", said)]
    return []
