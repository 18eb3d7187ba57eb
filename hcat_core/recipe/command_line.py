"""Command line options that change a recipe: those of the published script, and input files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcat_core.errors import Problem
from hcat_core.recipe.loading import set_key
from hcat_core.recipe.parameters import Parameters, load_parameters
from hcat_core.recipe.toml_text import Tree
from hcat_core.registry.catalog import Catalog

INPUTS = ("clinical", "semantic", "temporal", "pathological", "spatial")
"""Modalities with an option each, as in the published script; ``--input NAME=FILE`` takes any other."""


@dataclass(frozen=True)
class Option:
    """A command line option of the published script, and the recipe key that it sets.

    ``key`` is dotted; ``losses[use=kl].weight`` is the weight of every loss with ``use = "kl"``.
    """

    name: str
    key: str
    type: type
    help: str


OPTIONS: tuple[Option, ...] = (
    Option("epochs", "training.epochs", int, "passes over the training patients"),
    Option("batch", "training.batch", int, "patients per step"),
    Option("lr", "training.lr", float, "learning rate of AdamW"),
    Option("device", "training.device", str, "auto, cpu, cuda, cuda:1, ..."),
    Option(
        "early_stop_patience",
        "training.early_stop_patience",
        int,
        "stop after so many epochs without gain",
    ),
    Option("d_model", "fusion.d_model", int, "width of the model"),
    Option("n_heads", "fusion.n_heads", int, "attention heads"),
    Option("n_global_layers", "fusion.n_global_layers", int, "layers of the global encoder"),
    Option("dropout", "fusion.dropout", float, "dropout of the fusion"),
    Option("use_advanced_imputation", "imputer.use", bool, "the iterative imputer, or none at all"),
    Option("n_impute_iterations", "imputer.n_iterations", int, "refinements of the imputer"),
    Option("alpha_surv", "losses[head=survival].weight", float, "weight of the survival loss"),
    Option("alpha_rec", "losses[head=recurrence].weight", float, "weight of the recurrence loss"),
    Option("alpha_con", "losses[use=infonce].weight", float, "weight of the contrastive loss"),
    Option("alpha_kl", "losses[use=kl].weight", float, "weight of the KL divergence"),
    Option("alpha_impute", "losses[use=imputation].weight", float, "weight of the imputation loss"),
    Option("moddrop", "training.moddrop", float, "probability that a modality is hidden in training"),
    Option("moddrop_mode", "training.moddrop_mode", str, "per_sample or per_batch"),
    Option("emb_noise", "training.emb_noise", float, "noise on embeddings, in standard deviations"),
)
ADVANCED_IMPUTER = "iterative"

READERS = {
    ".csv": "table",
    ".parquet": "table",
    ".h5ad": "h5ad",
    ".h5mu": "h5mu",
    ".pt": "pt",
    ".pth": "pt",
}
"""Reader by file name extension, for those that only one reader can read."""


def reader_for(path: Path, otherwise: str) -> str:
    """The reader of a file by its extension, or ``otherwise`` where several readers could read it."""
    extension = path.suffix.lower()
    if extension in (".h5", ".hdf5") and otherwise in READERS.values():
        return "h5"
    return READERS.get(extension, otherwise)


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
    tree: Tree, inputs: Mapping[str, Path], caller: Path, outcomes_named: bool = False
) -> list[Problem]:
    """Read modalities from the given files, in place: the demo is removed, other modalities become absent.

    If the outcomes were in the file of one of these modalities, they are read from its new file, else from
    where they were. They may not stay those of the demo.

    Args:
        tree: the recipe.
        inputs: files by modality.
        caller: folder of relative paths.
        outcomes_named: whether the user has given the file of the outcomes.
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
    absent = [name for name in dict.fromkeys([*absent, *modalities]) if name not in inputs]
    demo = cohort.pop("demo", None)
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
