"""The maps that name the patients of new slides, for a run that was trained with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hcat_core.errors import UsageError
from hcat_core.recipe.recipe import Recipe

KEY = "slide_map"  # of a reader's table


def maps_by_modality(given: Mapping[str, Path | None], trained: Recipe) -> dict[str, Path | None]:
    """The maps of new slides by modality.

    Args:
        given: as the user named them; the one under "" is for all modalities that were trained with a map.
            None: no map, each slide is called as its patient.
        trained: the recipe of the run.

    Raises:
        UsageError: for a modality that the run does not know, or a map without a name that is for none.
    """
    tables = trained.cohort.modalities
    maps: dict[str, Path | None] = {}
    if "" in given:
        maps = dict.fromkeys((name for name, table in tables.items() if KEY in table), given[""])
        if not maps:
            raise UsageError(
                "--slide-map: the run was trained without one: name its modality, --slide-map NAME=FILE."
            )
    maps |= {name: path for name, path in given.items() if name}
    unknown = [name for name in maps if name not in tables]
    if unknown:
        raise UsageError(
            f"--slide-map: the run knows no modality named {unknown[0]}; it was trained on "
            f"{', '.join(tables)}."
        )
    return maps


def with_maps(
    recipe: Recipe, maps: Mapping[str, Path | None], moved: Sequence[str], named: Sequence[str]
) -> Recipe:
    """The recipe without the maps that the user does not want.

    Args:
        recipe: a run's, with the new files.
        maps: of ``maps_by_modality``.
        moved: modalities whose files the user named.
        named: modalities whose map the user named.

    Raises:
        UsageError: for slides that would be read with the map of the training patients' slides, in which
            another slide can have the same name; for a map that is not among the new files; and for a map
            of a modality without files.
    """
    tables = {
        name: {
            key: value for key, value in table.items() if key != KEY or maps.get(name, value) is not None
        }
        for name, table in recipe.cohort.modalities.items()
    }
    for name in named:
        if name not in tables:
            raise UsageError(f"{name} has a map and no slides: name them too, --input {name}=FILE.")
    for name, table in tables.items():
        if KEY not in table or name in maps or name in named:
            continue
        if name in moved or not (recipe.root / str(table[KEY])).exists():
            old = Path(str(table[KEY])).name
            raise UsageError(
                f"{name}: the run was trained with a map of slides and patients ({old}). Name the map of "
                f"the new slides: --slide-map {name}=FILE; or, if each slide is called as its patient: "
                f"--slide-map {name}="
            )
    return replace(recipe, cohort=recipe.cohort.model_copy(update={"modalities": tables}))
