"""The method of a first recipe: that of a shipped recipe, made for the user's tasks, or an estimator."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import tomli_w

from hcat_core.data.schema import OutcomeKind
from hcat_core.errors import UsageError
from hcat_core.recipe.first_recipe.document import comment
from hcat_core.recipe.loading import NEURAL, read_recipe_tree
from hcat_core.recipe.retarget import for_modalities, for_tasks
from hcat_core.recipe.shipped import first_sentence, shipped_recipes
from hcat_core.recipe.toml_text import Tree
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import NEEDS_TIMES
from hcat_core.text.spelling import did_you_mean

FOR_TIMES = "small_cohort"
FOR_LABELS = "logistic"
METHOD = ("estimator", "imputer", "fusion", "heads", "losses", "training", "evaluation")


def method_of(
    model: str | None,
    tasks: Mapping[str, OutcomeKind],
    labelled: Collection[str],
    modalities: Sequence[str],
    catalog: Catalog,
) -> tuple[str, Tree]:
    """A sentence on the method, and its tables.

    Args:
        model: a shipped recipe or an estimator; None chooses by the kind of the tasks.
        tasks: kinds of all tasks by name.
        labelled: of those without times.
        modalities: names.
        catalog: of components.

    Raises:
        UsageError: for a name that is neither.
    """
    name = model or (FOR_LABELS if labelled else FOR_TIMES)
    shipped = {PurePosixPath(path).stem: path for path in shipped_recipes().values()}
    estimators = [entry.component.name for entry in catalog.registries["estimator"]]
    if name in shipped and (name not in estimators or name == FOR_TIMES):
        path = shipped[name]
        tree = for_modalities(for_tasks(read_recipe_tree(path), tasks), modalities)
        tables = {key: tree[key] for key in METHOD if key in tree}
        sentence = first_sentence(path)
    elif name in estimators and name != NEURAL:
        component = catalog.find("estimator", name)
        tables, sentence = {"estimator": _estimator(name)}, f"{name}: {component.summary}."
    else:
        known = [*(stem for stem in shipped if stem != "demo"), *estimators]
        raise UsageError(
            f"--model: no shipped recipe or estimator is named {name}.{did_you_mean(name, known)}"
        )
    return sentence, _with_baselines(tables, bool(labelled), catalog)


def method_text(sentence: str, tables: Tree) -> str:
    """The tables as TOML, below a comment."""
    others = "Other models: hcat recipes, hcat list-components estimator."
    losses = tables.get("losses", [])
    rest = tomli_w.dumps({key: table for key, table in tables.items() if key != "losses"})
    blocks = [f"\n[[losses]]\n{tomli_w.dumps(loss)}" for loss in losses]
    return "\n".join([*comment(sentence), *comment(others), rest]) + "".join(blocks)


def _estimator(name: str) -> dict[str, Any]:
    if name == "late_fusion":
        return {"use": name, "model": {"use": FOR_LABELS}}
    if name == "stack":
        return {"use": name, "members": [{"use": FOR_LABELS}, {"use": "random_forest"}]}
    return {"use": name}


def _with_baselines(tables: Mapping[str, Any], labelled: bool, catalog: Catalog) -> Tree:
    """The tables without baselines that need times, where a task has none."""
    evaluation = tables.get("evaluation")
    if not labelled or not isinstance(evaluation, dict) or "baselines" not in evaluation:
        return dict(tables)
    usable = [
        name
        for name in evaluation["baselines"]
        if NEEDS_TIMES not in catalog.find("estimator", name).tags and name != "survival_forest"
    ]
    return {**tables, "evaluation": {**evaluation, "baselines": usable}}
