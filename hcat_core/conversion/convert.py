"""Read a recipe's cohort, write it in another layout, and keep the files if they hold the same cohort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tomli_w

from hcat_core.cohort import Cohort
from hcat_core.conversion.annotated import write_h5ad_folder, write_h5mu
from hcat_core.conversion.content import Content, content_of, converted_tasks, outcome_columns
from hcat_core.conversion.plain import write_csv_folder, write_h5_folder
from hcat_core.data.columns import column_by_patient
from hcat_core.errors import DataError, UsageError
from hcat_core.recipe import build
from hcat_core.recipe.recipe import Recipe, load_recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.runs.recipe_cohort import read_recipe_cohort
from hcat_core.storage.atomic_files import partial_path, storage_errors, sync
from hcat_core.storage.new_folder import partial_folder
from hcat_core.text.quoting import is_utf8

To = Literal["h5mu", "h5ad", "h5", "csv"]
OUTCOMES = "outcomes"


@dataclass(frozen=True)
class Layout:
    """A layout: the name of its reader, and the function that writes it to a file or a folder."""

    reader: str
    write: Callable[[Path, Content], None]
    one_file: bool = False


LAYOUTS: dict[To, Layout] = {
    "h5mu": Layout("h5mu", write_h5mu, one_file=True),
    "h5ad": Layout("h5ad", write_h5ad_folder),
    "h5": Layout("h5", write_h5_folder),
    "csv": Layout("table", write_csv_folder),
}


@dataclass(frozen=True)
class Converted:
    """The result: the new recipe, the files written, and the cohort."""

    recipe: Path
    files: tuple[Path, ...]
    cohort: Cohort


def convert(
    recipe: Recipe, catalog: Catalog, destination: Path, to: To, say: Callable[[str], None]
) -> Converted:
    """Write the cohort of ``recipe`` to ``destination``, and a recipe that runs on it.

    The recipe is ``recipe.toml`` in the new folder; beside a single file it has that file's name, ending in
    ``.toml``. The files are read again before they get their final names: ids, values, gaps, quality,
    counts of rows and outcomes must be equal to the last bit.

    Raises:
        UsageError: for a destination that exists or does not fit the layout.
        DataError: as reading; for a layout that cannot hold this cohort.
        StorageError: when the disk is full or not writable.
    """
    layout = LAYOUTS[to]
    beside = destination.with_suffix(".toml") if layout.one_file else destination / "recipe.toml"
    _refuse_destination(destination, beside, layout, to)
    cohort, _ = read_recipe_cohort(recipe, catalog, say)
    if OUTCOMES in cohort.layout.names:  # any other modality's name can be a file name
        raise UsageError(
            f"cohort.modalities.{OUTCOMES}: is the file of outcomes; give the modality another name."
        )
    with partial_folder(partial_path(destination), destination) as folder:
        _refuse_destination(destination, beside, layout, to)  # another process may have made it since
        place = folder / destination.name
        written = folder / beside.relative_to(destination.parent)
        content = content_of(cohort, _outcomes(recipe, catalog, cohort))
        text = tomli_w.dumps(_recipe_of(recipe, layout, destination))
        with storage_errors(destination):
            if not layout.one_file:
                place.mkdir()
            layout.write(place, content)
            written.write_text(f"# hcat run {beside.name}\n{text}", encoding="utf-8")
        say(f"reading {destination.name} back")
        _compare(cohort, _read_again(written, catalog, destination, to), destination, to)
        files = tuple(p.relative_to(folder) for p in sorted(folder.rglob("*")) if p.is_file())
        with storage_errors(destination):
            for file in files:
                sync(folder / file)
            for part in (place, written) if layout.one_file else (place,):
                part.rename(destination.parent / part.name)
    return Converted(beside, tuple(destination.parent / file for file in files), cohort)


def _refuse_destination(destination: Path, beside: Path, layout: Layout, to: To) -> None:
    if layout.one_file and destination.suffix.lower() != f".{to}":
        raise UsageError(f"{destination}: --to {to} writes one file; name it with the ending .{to}.")
    if not layout.one_file and destination.suffix.lower() in (".h5mu", ".h5ad", ".h5", ".csv"):
        raise UsageError(f"{destination}: --to {to} writes a folder, one file per modality; name a folder.")
    if not is_utf8(destination.name):  # the new recipe holds the name
        raise UsageError(f"{destination}: the name is not UTF-8, and a recipe is. Give it another name.")
    with storage_errors(destination):
        for path in (destination, beside):
            if path.exists() or path.is_symlink():
                raise UsageError(f"{path} exists already. Name another place, or remove it first.")
        if not destination.parent.is_dir():
            raise UsageError(f"{destination.parent}: no such folder.")


def _outcomes(recipe: Recipe, catalog: Catalog, cohort: Cohort) -> dict[str, np.ndarray]:
    """Columns of the targets file that the recipe uses."""
    table = recipe.cohort.targets
    reader = build.build_targets_reader(recipe, catalog)
    if table is None or reader is None:
        return {}
    columns = outcome_columns(cohort, table)
    if recipe.cohort.groups is not None and cohort.groups is not None:
        columns[recipe.cohort.groups] = np.array(cohort.groups, dtype=object)
    if recipe.split.column is not None:
        sides = column_by_patient(reader, recipe.split.column, cohort.patient_ids, table.missing)
        columns[recipe.split.column] = np.array(["" if s is None else str(s) for s in sides], dtype=object)
    return columns


def _recipe_of(recipe: Recipe, layout: Layout, destination: Path) -> dict[str, Any]:
    """The same recipe for the new files, which lie beside it."""
    ending = {"table": "csv"}.get(layout.reader, layout.reader)
    tree = recipe.as_dict()
    old = tree["cohort"]
    modalities: dict[str, dict[str, object]] = {}
    for name in recipe.cohort.modalities:
        parameter = {"modality": name} if layout.one_file else {}
        path = destination.name if layout.one_file else f"{name}.{ending}"
        modalities[name] = {"use": layout.reader, "path": path, **parameter}
    tree["cohort"] = {key: old[key] for key in ("groups", "allow", "absent") if key in old}
    tree["cohort"]["modalities"] = modalities
    if "targets" in old:
        path = destination.name if layout.one_file else f"{OUTCOMES}.{ending}"
        assert recipe.cohort.targets is not None
        tasks = {
            name: task.model_dump(mode="json", exclude_none=True)
            for name, task in converted_tasks(recipe.cohort.targets).items()
        }
        tree["cohort"]["targets"] = {"use": layout.reader, "path": path, "tasks": tasks}
    return tree


def _read_again(written: Path, catalog: Catalog, destination: Path, to: To) -> Cohort:
    try:
        recipe, _ = load_recipe(written, catalog)
        return read_recipe_cohort(recipe, catalog)[0]
    except (DataError, UsageError) as error:
        raise DataError(
            f"{destination}: as {to} this cohort could not be read again: {error} Nothing was written; "
            "convert to another layout."
        ) from None


def _compare(cohort: Cohort, again: Cohort, destination: Path, to: To) -> None:
    if cohort.fingerprint() != again.fingerprint() or cohort.groups != again.groups:
        raise DataError(
            f"{destination}: as {to} this cohort would change: ids, values, outcomes or groups differ. "
            "Nothing was written; convert to another layout."
        )
