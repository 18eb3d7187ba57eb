"""The document's command line options: each is a recipe key, from this one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcat_core.catalog import Catalog
from hcat_core.errors import Problem
from hcat_core.parameters import Parameters, load_parameters
from hcat_core.recipe_source import Tree, set_key

INPUTS = ("clinical", "semantic", "temporal", "pathological", "spatial")
"""The document's modalities, each with an option of its own; ``--input NAME=FILE`` takes any other."""


@dataclass(frozen=True)
class Option:
    """A command line option: the recipe key that it sets.

    ``key`` is dotted. ``losses[use=kl].weight`` sets the weight of every loss whose table says so.
    """

    name: str
    key: str
    type: type
    help: str


OPTIONS: tuple[Option, ...] = (
    Option("epochs", "training.epochs", int, "passes over the training patients"),
    Option("batch", "training.batch", int, "patients a step"),
    Option("lr", "training.lr", float, "learning rate of AdamW"),
    Option("device", "training.device", str, "auto, cpu, cuda, cuda:1, ..."),
    Option(
        "early_stop_patience", "training.early_stop_patience", int, "epochs without a better one"
    ),
    Option("d_model", "fusion.d_model", int, "width of the model"),
    Option("n_heads", "fusion.n_heads", int, "attention heads"),
    Option("n_global_layers", "fusion.n_global_layers", int, "layers of the global encoder"),
    Option("dropout", "fusion.dropout", float, "dropout of the fusion"),
    Option(
        "use_advanced_imputation", "imputer.use", bool, "the iterative imputer, or none at all"
    ),
    Option("n_impute_iterations", "imputer.n_iterations", int, "refinements of the imputer"),
    Option("alpha_surv", "losses[head=survival].weight", float, "weight of the survival loss"),
    Option("alpha_rec", "losses[head=recurrence].weight", float, "weight of the recurrence loss"),
    Option("alpha_con", "losses[use=infonce].weight", float, "weight of the contrastive loss"),
    Option("alpha_kl", "losses[use=kl].weight", float, "weight of the KL divergence"),
    Option("alpha_impute", "losses[use=imputation].weight", float, "weight of the imputation loss"),
    Option("moddrop", "training.moddrop", float, "chance that a modality is hidden in training"),
    Option("moddrop_mode", "training.moddrop_mode", str, "per_sample or per_batch"),
    Option("emb_noise", "training.emb_noise", float, "noise on embeddings, in standard deviations"),
)
ADVANCED_IMPUTER = "iterative"


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
        if option.key.startswith("losses["):
            selector, key = option.key.removeprefix("losses[").split("].")
            field, wanted = selector.split("=")
            chosen = [
                place
                for place, loss in enumerate(tree.get("losses", []))
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


def apply_inputs(tree: Tree, inputs: Mapping[str, Path], caller: Path) -> list[Problem]:
    """Read the named modalities from the named files; the demo goes, the others are absent.

    Outcomes are read from where they were, except that they follow a modality's file to its new place.
    """
    if not inputs:
        return []
    cohort = tree.setdefault("cohort", {})
    modalities = cohort.get("modalities")
    if not isinstance(modalities, dict):
        modalities = {}
    moved: dict[object, str] = {}
    taken: dict[str, Any] = {}
    for name in [n for n in modalities if n in inputs] + [n for n in inputs if n not in modalities]:
        path = caller / inputs[name]
        table = dict(modalities.get(name, {}))
        moved[table.get("path")] = str(path)
        use = "table" if path.suffix.lower() in (".csv", ".parquet") else table.get("use", "h5")
        if use == "table" and table.get("use") != "table":
            table = {}
        taken[name] = {**table, "use": use, "path": str(path)}
    absent = [name for name in modalities if name not in inputs]
    demo = cohort.pop("demo", None)
    cohort["modalities"] = taken
    cohort["absent"] = list(dict.fromkeys([*cohort.get("absent", []), *absent]))
    targets = cohort.get("targets")
    if isinstance(targets, dict) and targets.get("path") in moved:
        targets["path"] = moved[targets["path"]]
        if Path(targets["path"]).suffix.lower() in (".csv", ".parquet"):
            targets["use"] = "table"
    elif demo is not None and isinstance(targets, dict):
        return [
            Problem(
                "cohort.targets.path",
                f"outcomes would come from the demo's {targets.get('path')}. Name the file that holds "
                "yours: --clinical FILE, or --set cohort.targets.path=FILE",
            )
        ]
    return []


def parse_inputs(pairs: Sequence[str]) -> tuple[dict[str, Path], list[Problem]]:
    """``NAME=FILE`` pairs of ``--input``."""
    inputs: dict[str, Path] = {}
    problems = []
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            problems.append(Problem("--input", f'expected NAME=FILE, got "{pair}"'))
        inputs[name] = Path(path)
    return inputs, problems


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
