"""What is compared: one job is one imputer in one setting."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hcat_core.experiments.jobs import Job, job_key
from hcat_core.recipe.component_tables import default_table
from hcat_core.registry.catalog import Catalog
from hcat_core.synth.spec import Mechanism

ORACLE, LIMIT = "oracle", "finite-N limit"
FIRST = {"use": "gaussian"}  # what a refining imputer starts from


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
class Design:
    """The settings of a comparison: every mechanism at every missing rate, with seeds 0 to ``seeds`` - 1.

    The other fields are those of each ``Setting``.
    """

    mechanisms: Sequence[Mechanism]
    missing_rates: Sequence[float]
    seeds: int
    preset: str = "clusters"
    patients: int = 600
    width: int = 128
    recipe: str | None = None
    data: str = ""

    def settings(self) -> list[Setting]:
        """Every combination."""
        combinations = itertools.product(self.mechanisms, self.missing_rates, range(self.seeds))
        cohort = (self.preset, self.patients, self.width, self.recipe, self.data)
        return [Setting(mechanism, rate, seed, *cohort) for mechanism, rate, seed in combinations]


@dataclass(frozen=True)
class ImputerInSetting:
    """What one job fits and scores. ``table`` is the imputer's recipe table; None for the two limits."""

    table: Mapping[str, Any] | None
    setting: Setting


def imputer_job(name: str, table: Mapping[str, Any] | None, setting: Setting) -> Job[ImputerInSetting]:
    """The job of one imputer, or of the limit of that name, in one setting."""
    key = job_key(name=name, table=table, setting=asdict(setting))
    return Job(name, key, ImputerInSetting(table, setting))


def imputer_tables(catalog: Catalog, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A recipe table for each named imputer, or for every one in the catalog.

    An imputer that refines another starts from ``gaussian``, or from
    the one in brackets: ``iterative(vae)`` is ``iterative`` started from ``vae``.

    Raises:
        UsageError: for a name that is not in the catalog, or an imputer that cannot be loaded.
    """
    wanted = list(names) or [entry.component.name for entry in catalog.registries["imputer"]]
    return {name: _table(catalog, name) for name in dict.fromkeys(wanted)}


def plan_jobs(tables: Mapping[str, Mapping[str, Any]], design: Design) -> list[Job[ImputerInSetting]]:
    """Every imputer in every setting, and the two limits where the truth is known."""
    limits = (ORACLE, LIMIT) if design.recipe is None else ()
    named: dict[str, Mapping[str, Any] | None] = {**dict.fromkeys(limits), **tables}
    return [
        imputer_job(name, table, setting) for setting in design.settings() for name, table in named.items()
    ]


def _table(catalog: Catalog, name: str) -> dict[str, Any]:
    outer, _, inner = name.partition("(")
    first = _table(catalog, inner.removesuffix(")")) if inner else FIRST
    return default_table(catalog, "imputer", outer, {"imputer": first})
