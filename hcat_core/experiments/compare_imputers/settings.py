"""What is compared: a ``Job`` is one imputer in one setting, and one result file."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hcat_core import __version__
from hcat_core.recipe.component_tables import default_table
from hcat_core.recipe.parameters import required_parameters
from hcat_core.registry.catalog import Catalog
from hcat_core.synth.missingness import Mechanism

ORACLE, LIMIT = "oracle", "finite-N limit"
FIT_EPOCHS = 120  # of networks, which otherwise learn beside a predictor
FIRST = {"use": "gaussian"}  # where an imputer refines another


@dataclass(frozen=True)
class Setting:
    """A cohort and how blocks are hidden in it.

    ``recipe`` None is a synthetic cohort of ``preset``: ``patients`` to fit on, and 500 fresh ones to be
    scored. Otherwise the recipe's own cohort, split anew for each seed, with ``missing_rate`` of its
    observed blocks hidden by ``mechanism``; ``data`` is its fingerprint.
    """

    mechanism: Mechanism
    missing_rate: float
    seed: int
    preset: str = "clusters"
    patients: int = 600
    width: int = 128
    recipe: str | None = None
    data: str = ""


@dataclass(frozen=True)
class Job:
    """One imputer in one setting. ``table`` is its recipe table; None for the two limits."""

    name: str
    table: dict[str, Any] | None
    setting: Setting

    @property
    def key(self) -> str:
        """Names the result file: the same job of the same hcat, the same name; any change, another."""
        text = json.dumps({**asdict(self), "hcat": __version__}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def imputer_tables(catalog: Catalog, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A recipe table for each named imputer, or for every one in the catalog.

    Networks are fitted on their own; refiners start from ``gaussian``. ``iterative(vae)`` is
    ``iterative`` from ``vae``.

    Raises:
        UsageError: for a name that is not in the catalog, or an imputer that cannot be loaded.
    """
    registry = catalog.registries["imputer"]
    wanted = list(names) or [entry.component.name for entry in registry]
    return {name: _table(catalog, name) for name in dict.fromkeys(wanted)}


def plan(
    tables: dict[str, dict[str, Any]],
    *,
    mechanisms: Sequence[Mechanism],
    missing_rates: Sequence[float],
    seeds: int,
    preset: str,
    patients: int,
    width: int,
    recipe: str | None,
    data: str,
) -> list[Job]:
    """Every imputer in every setting, and the two limits where the truth is known."""
    settings = [
        Setting(mechanism, rate, seed, preset, patients, width, recipe, data)
        for mechanism, rate, seed in itertools.product(mechanisms, missing_rates, range(seeds))
    ]
    limits: list[tuple[str, dict[str, Any] | None]] = (
        [(ORACLE, None), (LIMIT, None)] if recipe is None else []
    )
    return [Job(name, table, setting) for setting in settings for name, table in [*limits, *tables.items()]]


def _table(catalog: Catalog, name: str) -> dict[str, Any]:
    outer, _, inner = name.partition("(")
    first = _table(catalog, inner.removesuffix(")")) if inner else FIRST
    table = default_table(catalog, "imputer", outer, {"imputer": first})
    if "fit_epochs" in required_parameters(catalog.find("imputer", outer)).names:
        table["fit_epochs"] = FIT_EPOCHS
    return table
