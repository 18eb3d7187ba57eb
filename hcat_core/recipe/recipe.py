"""``Recipe``, and how one is loaded: all problems are found at once, before any data is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from hcat_core.data.schema import CohortTable, SplitTable
from hcat_core.errors import Problem, RecipeError, StorageError
from hcat_core.recipe.checks import (
    Tables,
    check_baselines,
    check_heads,
    check_losses,
    check_modalities,
    check_savable,
    check_tasks,
    check_times,
    check_trained,
)
from hcat_core.recipe.command_line import apply_inputs, apply_options
from hcat_core.recipe.component_tables import check_component
from hcat_core.recipe.construction import ComponentTables, check_construction
from hcat_core.recipe.default_components import DEFAULT_FUSION, name_default_components
from hcat_core.recipe.file_readers import name_readers
from hcat_core.recipe.imputer_training import check_imputer_training
from hcat_core.recipe.loading import (
    NEURAL,
    NEURAL_TABLES,
    allowed_by,
    apply_sets,
    read_recipe_tree,
    uses_neural,
)
from hcat_core.recipe.outcome_kinds import check_monitor, check_outcome_kinds
from hcat_core.recipe.schema import TABLES, EvaluationTable, TrainingTable, elsewhere
from hcat_core.recipe.toml_text import Tree
from hcat_core.recipe.top_level import check_top_level
from hcat_core.recipe.validation import check_table
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.discovery import NO_PLUGINS
from hcat_core.storage.safe_path import resolved
from hcat_core.text.quoting import shown
from hcat_core.text.spelling import did_you_mean

KEYS = ("seed", "outdir", "plugins", *dict.fromkeys([*TABLES, "estimator", *NEURAL_TABLES]))


@dataclass(frozen=True)
class Recipe:
    """What to run. Component tables hold plain values, with all defaults filled in.

    Attributes:
        source: the file, for messages.
        root: absolute; the folder of the cohort's relative paths.
        seed: of everything random.
        outdir: the run folder, or None for one named after recipe and time.
        plugins: names of the plugins that may be imported beside the built-in ones; None allows all.
        cohort: modalities and outcomes; ``cohort.modalities`` holds reader tables.
        split: how patients are split.
        training: settings of the training loop.
        evaluation: settings of the evaluation.
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
        """The complete recipe as plain values; saved, it gives the same run from any folder."""
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
        """The tables that define the method, without the cohort and its split."""
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
        """Whether an estimator trains the recipe's imputer, fusion and heads."""
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
    keep_others: bool = False,
    trained: bool = False,
) -> tuple[Recipe, list[str]]:
    """Read, merge and check a recipe; ``sets`` override it, ``options`` and ``inputs`` override both.

    Args:
        path: the recipe.
        catalog: the components to check it against.
        sets: ``key=value`` settings.
        options: values of command line options (``command_line.OPTIONS``) by name, or None.
        inputs: files by modality.
        caller: folder of relative paths in ``inputs`` and ``cohort.root``; by default the current one.
        keep_others: whether modalities without a file in ``inputs`` are still read, or become absent.
        trained: the method is that of a trained run, whose files may be others: it is not constructed.

    Returns:
        The recipe, and a warning for each option that changes nothing.

    Raises:
        RecipeError: with all problems.
    """
    caller = caller or Path.cwd()
    tree, problems = apply_sets(read_recipe_tree(path), sets)
    outcomes_named = any(text.partition("=")[0].strip() == "cohort.targets.path" for text in sets)
    problems += apply_inputs(
        tree, inputs or {}, caller, outcomes_named=outcomes_named, keep_others=keep_others
    )
    more, warnings = apply_options(tree, options or {}, catalog)
    if catalog.allowed == NO_PLUGINS:
        tree["plugins"] = []
    recipe, of_tables = check_recipe(tree, catalog, path, caller, trained=trained)
    problems += more + of_tables
    if recipe is None or problems:
        raise RecipeError(str(path), problems)
    return recipe, warnings


def check_recipe(
    tree: Tree, catalog: Catalog, path: Path, caller: Path, *, trained: bool = False
) -> tuple[Recipe | None, list[Problem]]:
    """Check a merged tree of tables; the recipe is None if there is any problem.

    The components of a ``trained`` run are not constructed.
    """
    problems = [Problem(key, f"no such table or key.{_suggestion(key)}") for key in tree if key not in KEYS]
    name_default_components(tree)
    problems += name_readers(tree)
    problems += check_savable({key: value for key, value in tree.items() if key != "seed"})
    tables, more = _check_fixed_tables(tree)
    problems += more + check_top_level(tree)
    allowed = allowed_by(tree, str(path))
    if allowed is not None:
        catalog = catalog.restricted(allowed)
    split, cohort = tables.get("split"), tables.get("cohort")
    if split is not None and split.validation + split.test >= 1:
        problems.append(Problem("split", "validation and test leave no patient for training"))
    modalities: Tables = {}
    readable = False
    if cohort is not None:
        modalities, more = _check_cohort(cohort, catalog)
        problems += more
        readable = not any(problem.key.startswith("cohort.modalities") for problem in more)
    tasks = None if cohort is None or cohort.targets is None else tuple(cohort.targets.tasks)
    estimator, neural, more = _check_method(tree, catalog, tasks)
    problems += more
    evaluation = tree.get("evaluation")
    if tables.get("evaluation") is not None and isinstance(evaluation, dict) and "baselines" in evaluation:
        problems += check_baselines(evaluation["baselines"], catalog)
    if neural.imputer and neural.losses and tables.get("training") is not None:
        gradient = tables["training"].imputer_gradient
        problems += check_imputer_training(neural.imputer, neural.losses, gradient, catalog)
    if estimator is not None and cohort is not None and not problems:
        problems += check_outcome_kinds(cohort.targets, estimator, neural.heads, catalog)
        if neural.heads:
            problems += check_monitor(cohort.targets, tables["training"])
        problems += check_times(cohort.targets, estimator, neural.heads, catalog)
    if cohort is not None and readable and not trained:
        components = ComponentTables(estimator, neural.imputer, neural.fusion, neural.heads, neural.losses)
        named = cohort.model_copy(update={"modalities": modalities})
        found = check_construction(components, named, tables.get("training"), catalog)
        problems += [problem for problem in found if not _is_known(problem.key, problems)]
    if problems or cohort is None or estimator is None:
        return None, problems
    try:
        root = resolved(caller / cohort.root if cohort.root is not None else path.parent)
    except StorageError as error:
        return None, [Problem("cohort.root", str(error))]
    recipe = Recipe(
        source=str(path),
        root=root,
        seed=tree.get("seed", 0),
        outdir=tree.get("outdir"),
        plugins=None if tree.get("plugins") is None else tuple(tree["plugins"]),
        cohort=cohort.model_copy(update={"modalities": modalities}),
        split=tables["split"],
        training=tables["training"],
        evaluation=tables["evaluation"],
        estimator=estimator,
        imputer=neural.imputer,
        fusion=neural.fusion,
        heads=neural.heads,
        losses=neural.losses,
    )
    return recipe, []


@dataclass(frozen=True)
class _NeuralTables:
    """The component tables that the estimator ``neural`` trains; empty for other estimators."""

    imputer: dict[str, Any] = field(default_factory=dict)
    fusion: dict[str, Any] = field(default_factory=dict)
    heads: Tables = field(default_factory=dict)
    losses: list[dict[str, Any]] = field(default_factory=list)


def _check_fixed_tables(tree: Tree) -> tuple[dict[str, Any], list[Problem]]:
    """The tables cohort, split, training and evaluation as models; None for one that has problems."""
    tables: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, model in TABLES.items():
        value = tree.get(name, {})
        if isinstance(value, dict):
            tables[name], more = check_table(model, value, name, "no such key.")
            problems += more
        else:
            message = f"expected a table, [{name}], got {shown(value)}"
            message += f": [[{name}]] makes a list" if isinstance(value, list) else ""
            problems.append(Problem(name, message))
    return tables, problems


def _check_cohort(cohort: CohortTable, catalog: Catalog) -> tuple[Tables, list[Problem]]:
    """The reader tables by modality, and problems of modalities and outcomes."""
    modalities, problems = check_modalities(cohort, catalog)
    if cohort.targets is not None:
        problems += check_component(catalog, "reader", cohort.targets.reader, "cohort.targets").problems
        problems += check_tasks(cohort.targets)
    return modalities, problems


def _check_method(
    tree: Tree, catalog: Catalog, tasks: tuple[str, ...] | None
) -> tuple[dict[str, Any] | None, _NeuralTables, list[Problem]]:
    """The estimator's table, and the tables that it trains if it is neural."""
    given = tree.get("estimator", {"use": NEURAL})
    estimator = check_component(catalog, "estimator", given, "estimator")
    # If the estimator itself is wrong, the other tables are checked too: all problems are reported at once.
    if uses_neural(given) or estimator.table is None:
        neural, problems = _check_neural(tree, catalog, tasks, estimator.table is not None)
        return estimator.table, neural, estimator.problems + problems
    problems = [
        Problem(name, f'is not used by the estimator "{estimator.table["use"]}"; remove it')
        for name in NEURAL_TABLES
        if name in tree
    ]
    return estimator.table, _NeuralTables(), estimator.problems + problems


def _check_neural(
    tree: Tree, catalog: Catalog, tasks: tuple[str, ...] | None, heads_needed: bool
) -> tuple[_NeuralTables, list[Problem]]:
    imputer = check_component(catalog, "imputer", tree.get("imputer", {"use": "none"}), "imputer")
    fusion = check_component(catalog, "fusion", tree.get("fusion", {"use": DEFAULT_FUSION}), "fusion")
    problems = imputer.problems + fusion.problems
    heads: Tables | None = {}
    losses: list[dict[str, Any]] = []
    if "heads" in tree or "losses" in tree or heads_needed:
        heads, of_heads = check_heads(tree.get("heads", {}), catalog, tasks)
        losses, of_losses = check_losses(tree.get("losses", []), catalog, heads)
        problems += of_heads + of_losses
        # Only where all names are right it is known which head a loss trains.
        if losses and not of_heads and not any(p.key.endswith((".head", ".use")) for p in of_losses):
            problems += check_trained(heads or {}, losses, catalog)
    return _NeuralTables(imputer.table or {}, fusion.table or {}, heads or {}, losses), problems


def _is_known(key: str, problems: Sequence[Problem]) -> bool:
    """Whether the table at ``key`` has a problem already, so that what follows from it is not said."""
    return any(f"{problem.key}.".startswith(f"{key}.") for problem in problems)


def _suggestion(key: str) -> str:
    return elsewhere(key) or did_you_mean(key, KEYS)
