"""The command line over the recipe: the document's options and the input files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hcat_core.errors import Problem
from hcat_core.recipe.loading import set_key
from hcat_core.recipe.options import ADVANCED_IMPUTER, OPTIONS
from hcat_core.recipe.parameters import Parameters, load_parameters
from hcat_core.recipe.toml_text import Tree
from hcat_core.registry.catalog import Catalog

READERS = {
    ".csv": "table",
    ".parquet": "table",
    ".h5ad": "h5ad",
    ".h5mu": "h5mu",
    ".pt": "pt",
    ".pth": "pt",
}
"""The reader that takes a file, where the ending leaves no choice."""


def reader_for(path: Path, otherwise: str) -> str:
    """The reader of a file that was named without one; ``otherwise`` where the ending leaves a choice."""
    ending = path.suffix.lower()
    if ending in (".h5", ".hdf5") and otherwise in READERS.values():
        return "h5"
    return READERS.get(ending, otherwise)


def apply_options(
    tree: Tree, options: Mapping[str, Any], catalog: Catalog
) -> tuple[list[Problem], list[str]]:
    """Write options into a recipe tree, in place; they win over what is there.

    Returns:
        Problems, and one warning for each option that the chosen components do not have: such an
        option changes nothing.
    """
    problems: list[Problem] = []
    warnings: list[str] = []
    # Which imputer comes before how many iterations it makes.
    for option in sorted(OPTIONS, key=lambda o: not o.key.endswith(".use")):
        value = options.get(option.name)
        if value is None:
            continue
        if option.name == "use_advanced_imputation":
            value = ADVANCED_IMPUTER if value else "none"
            if catalog.registries["imputer"].find(value) is None:
                warnings.append(
                    f"--{option.name} changes nothing: this hcat has no imputer "
                    f'"{value}". The recipe\'s imputer stays.'
                )
                continue
            old = tree.get("imputer")
            if value == ADVANCED_IMPUTER and isinstance(old, dict) and old.get("use") != value:
                tree["imputer"] = {"use": value, "first": old}  # it refines what the recipe has
        if option.key.startswith("losses["):
            losses = tree.get("losses")
            selector, key = option.key.removeprefix("losses[").split("].")
            field, wanted = selector.split("=")
            chosen = [
                place
                for place, loss in enumerate(losses if isinstance(losses, list) else ())
                if isinstance(loss, dict) and loss.get(field) == wanted
            ]
            if not chosen:
                warnings.append(
                    f'--{option.name} changes nothing: the recipe has no loss with {field} = "{wanted}".'
                )
            for place in chosen:
                tree["losses"][place][key] = value
            continue
        missing = _missing_parameter(tree, option.key, catalog)
        if missing is not None:
            warnings.append(f"--{option.name} changes nothing: {missing}")
            continue
        problem = set_key(tree, option.key.split("."), value)
        if problem:
            problems.append(Problem(f"--{option.name}", problem))
    return problems, warnings


def apply_inputs(
    tree: Tree, inputs: Mapping[str, Path], caller: Path, outcomes_named: bool = False
) -> list[Problem]:
    """Read the named modalities from the named files; the demo goes, the others are absent.

    Outcomes are read from where they were, except that they follow a modality's file to its new place. The
    demo's own cannot stay: ``outcomes_named`` says that the user has named others, seen from ``caller``.
    """
    if not inputs:
        return []
    cohort = tree.setdefault("cohort", {})
    if not isinstance(cohort, dict):
        return []  # reported where the recipe is checked
    modalities, absent, targets = (cohort.get(key) for key in ("modalities", "absent", "targets"))
    modalities = modalities if isinstance(modalities, dict) else {}
    absent = absent if isinstance(absent, list) else []
    moved: dict[str, str] = {}
    taken: dict[str, Any] = {}
    for name in [n for n in modalities if n in inputs] + [n for n in inputs if n not in modalities]:
        path = caller / inputs[name]
        old = modalities.get(name)
        table = dict(old) if isinstance(old, dict) else {}
        moved[str(table.get("path"))] = str(path)
        use = reader_for(path, str(table.get("use", "h5")))
        if use != table.get("use"):
            table = {"modality": name} if use == "h5mu" else {}
        taken[name] = {**table, "use": use, "path": str(path)}
    absent = [name for name in dict.fromkeys([*absent, *modalities]) if name not in inputs]
    demo = cohort.pop("demo", None)
    cohort["modalities"] = taken
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
                f"outcomes would come from the demo's {targets.get('path')}. Name the file that holds "
                "yours: --clinical FILE, or --set cohort.targets.path=FILE",
            )
        ]
    return []


def _missing_parameter(tree: Tree, key: str, catalog: Catalog) -> str | None:
    """Why a component option has nowhere to go, or None."""
    table_name, _, parameter = key.partition(".")
    if table_name not in ("imputer", "fusion") or parameter == "use":
        return None
    table = tree.get(table_name)
    use = table.get("use") if isinstance(table, dict) else None
    component = catalog.registries[table_name].find(str(use))  # type: ignore[index]
    if component is None:
        return None  # reported where the recipe is checked
    spec = load_parameters(component, key)
    if isinstance(spec, Parameters) and parameter not in spec.names:
        return f'the {table_name} "{use}" has no {parameter}.'
    return None
