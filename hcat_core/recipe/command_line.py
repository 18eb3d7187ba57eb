"""What the options of the command line change in a recipe: keys, and the files of modalities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hcat_core.errors import Problem
from hcat_core.recipe.file_readers import reader_for
from hcat_core.recipe.loading import set_key
from hcat_core.recipe.options import ADVANCED_IMPUTER, OPTIONS
from hcat_core.recipe.parameters import Parameters, load_parameters
from hcat_core.recipe.toml_text import Tree
from hcat_core.registry.catalog import Catalog


def apply_options(
    tree: Tree, options: Mapping[str, Any], catalog: Catalog
) -> tuple[list[Problem], list[str]]:
    """Write the values of options into a recipe tree, in place; they override what is there.

    Returns:
        Problems, and a warning for each option that changes nothing because the chosen components do not
        have it.
    """
    problems: list[Problem] = []
    warnings: list[str] = []
    # The imputer is chosen before its parameters are set.
    for option in sorted(OPTIONS, key=lambda o: not o.key.endswith(".use")):
        value = options.get(option.name)
        if value is None:
            continue
        problem = None
        if option.key.startswith("losses["):
            reason = _set_losses(tree, option.key, value)
        else:
            if option.name == "use_advanced_imputation":
                value = ADVANCED_IMPUTER if value else "none"
                reason = _prepare_imputer(tree, value, catalog)
            else:
                reason = _missing_parameter(tree, option.key, catalog)
            if reason is None:
                problem = set_key(tree, option.key.split("."), value)
        if reason is not None:
            warnings.append(f"--{option.name} changes nothing: {reason}")
        if problem is not None:
            problems.append(Problem(f"--{option.name}", problem))
    return problems, warnings


def _prepare_imputer(tree: Tree, name: str, catalog: Catalog) -> str | None:
    """Let the advanced imputer refine the recipe's. Returns why it cannot be chosen, or None."""
    if catalog.registries["imputer"].find(name) is None:
        return f'no imputer "{name}" is installed. The imputer of the recipe stays.'
    previous = tree.get("imputer")
    if name == ADVANCED_IMPUTER and isinstance(previous, dict) and previous.get("use") != name:
        tree["imputer"] = {"use": name, "first": previous}
    return None


def _set_losses(tree: Tree, key: str, value: object) -> str | None:
    """Set ``losses[FIELD=NAME].KEY`` in all losses that match. Returns why nothing changes, or None."""
    selector, parameter = key.removeprefix("losses[").split("].")
    field, wanted = selector.split("=")
    losses = tree.get("losses")
    matching = [
        loss
        for loss in (losses if isinstance(losses, list) else ())
        if isinstance(loss, dict) and loss.get(field) == wanted
    ]
    for loss in matching:
        loss[parameter] = value
    return None if matching else f'the recipe has no loss with {field} = "{wanted}".'


def apply_inputs(
    tree: Tree,
    inputs: Mapping[str, Path],
    caller: Path,
    *,
    outcomes_named: bool = False,
    keep_others: bool = False,
) -> list[Problem]:
    """Read modalities from the given files, in place: name and demo go, other modalities become absent.

    If the outcomes were in the file of one of these modalities, they are read from its new file, else from
    where they were. They may not stay those of the demo.

    Args:
        tree: the recipe.
        inputs: files by modality.
        caller: folder of relative paths.
        outcomes_named: whether the user has given the file of the outcomes.
        keep_others: whether the other modalities stay where they are, because the user has given the root.
    """
    if not inputs:
        return []
    cohort = tree.setdefault("cohort", {})
    if not isinstance(cohort, dict):
        return []  # reported when the recipe is checked
    modalities, absent, targets = (cohort.get(key) for key in ("modalities", "absent", "targets"))
    modalities = modalities if isinstance(modalities, dict) else {}
    absent = absent if isinstance(absent, list) else []
    moved: dict[str, str] = {}
    new_tables: dict[str, Any] = {}
    for name in [n for n in modalities if n in inputs] + [n for n in inputs if n not in modalities]:
        path = caller / inputs[name]
        previous = modalities.get(name)
        table = dict(previous) if isinstance(previous, dict) else {}
        moved[str(table.get("path"))] = str(path)
        use = reader_for(path, str(table.get("use", "h5")))
        if use != table.get("use"):
            table = {"modality": name} if use == "h5mu" else {}
        new_tables[name] = {**table, "use": use, "path": str(path)}
    if keep_others:
        new_tables = {**modalities, **new_tables}
    absent = [name for name in dict.fromkeys([*absent, *modalities]) if name not in new_tables]
    demo = cohort.pop("demo", None)
    cohort.pop("name", None)
    cohort["modalities"] = new_tables
    cohort["absent"] = absent
    if isinstance(targets, dict) and str(targets.get("path")) in moved:
        targets["path"] = moved[str(targets["path"])]
        targets["use"] = reader_for(Path(targets["path"]), str(targets.get("use", "h5")))
    elif demo is not None and isinstance(targets, dict) and outcomes_named:
        targets["path"] = str(caller / str(targets.get("path")))
    elif demo is not None and isinstance(targets, dict):
        return [
            Problem(
                "cohort.targets.path",
                f"outcomes would be read from {targets.get('path')} of the demo. Name the file with "
                "yours: --clinical FILE, or --set cohort.targets.path=FILE",
            )
        ]
    return []


def _missing_parameter(tree: Tree, key: str, catalog: Catalog) -> str | None:
    """Why an option for a component parameter changes nothing, or None."""
    table_name, _, parameter = key.partition(".")
    if table_name not in ("imputer", "fusion") or parameter == "use":
        return None
    table = tree.get(table_name)
    use = table.get("use") if isinstance(table, dict) else None
    component = catalog.registries[table_name].find(str(use))  # type: ignore[index]
    if component is None:
        return None  # reported when the recipe is checked
    spec = load_parameters(component, key)
    if isinstance(spec, Parameters) and parameter not in spec.names:
        return f'the {table_name} "{use}" has no {parameter}.'
    return None
