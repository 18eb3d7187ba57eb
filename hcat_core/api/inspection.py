"""``inspect``: what a run would say of a cohort before it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hcat_core.api.catalogs import open_catalog
from hcat_core.api.cohort import Cohort
from hcat_core.api.default_method import method_for
from hcat_core.api.html import facts_as_html, paragraph, table_as_html
from hcat_core.api.recipes import Method, plugins_of, recipe_for
from hcat_core.runs.cohort_checks import check_cohort, check_without_split, inspection_document
from hcat_core.text.counted import counted


@dataclass(frozen=True, repr=False, eq=False)
class Inspection:
    """Facts about a cohort: counts and sentences, no patient ids.

    Attributes:
        facts: what ``hcat inspect --json`` prints.
    """

    facts: dict[str, Any]

    @property
    def modalities(self) -> pd.DataFrame:
        """One row for each modality: patients, width, rows, cells that were not measured."""
        return pd.DataFrame(self.facts["modalities"]).set_index("name")

    @property
    def patterns(self) -> pd.DataFrame:
        """Patients by combination of modalities."""
        rows = [[*one["present"], one["patients"]] for one in self.facts["patterns"]]
        return pd.DataFrame(rows, columns=[*self.facts["modality_names"], "patients"])

    @property
    def outcomes(self) -> pd.DataFrame:
        """Patients by outcome, one row for each event; others are in ``facts["other_outcomes"]``."""
        return pd.DataFrame(self.facts["tasks"], columns=OUTCOMES).set_index("name")

    @property
    def findings(self) -> tuple[str, ...]:
        """What a user should know; ``refusals`` are not among them."""
        small = (size["message"] for size in self.facts["sample_size"] if not size["enough"])
        return (*(one["message"] for one in self.facts["warnings"]), *small)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why a run would stop: patients that cannot be split, features that give an outcome away."""
        leaks = (f"{leak['modality']}: {leak['feature']} {leak['reason']}" for leak in self.facts["leaks"])
        return (*self.facts["refusals"], *leaks)

    def __repr__(self) -> str:
        lines = [
            f"{counted(self.facts['patients'], 'patient')}, {self.facts['complete']} with every modality"
        ]
        lines += [
            f"{m['name']}: {counted(m['patients'], 'patient')}, {counted(m['width'], 'feature')}, "
            f"{m['share_not_measured']:.1%} of cells not measured"
            for m in self.facts["modalities"]
        ]
        lines += [
            f"{t['name']}: {t['event']} with the event, {t['event_free']} without, {t['unknown']} unknown"
            for t in self.facts["tasks"]
        ]
        lines += [f"{name}: {in_words(counts)}" for name, counts in self.facts["other_outcomes"].items()]
        lines += [f"a run would stop: {refusal}" for refusal in self.refusals]
        return "\n".join([*lines, *self.findings])

    def _repr_html_(self) -> str:
        modalities = self.modalities[["patients", "width", "rows", "share_not_measured"]].reset_index()
        parts = [table_as_html(list(modalities.columns), modalities.values.tolist())]
        parts += [table_as_html(list(self.patterns.columns), self.patterns.values.tolist())]
        if len(self.outcomes):
            outcomes = self.outcomes.reset_index()
            parts.append(table_as_html(list(outcomes.columns), outcomes.values.tolist()))
        others = self.facts["other_outcomes"].items()
        parts += [paragraph(f"{name}: {in_words(counts)}") for name, counts in others]
        stops = [f"A run would stop: {refusal}" for refusal in self.refusals]
        title = (
            f"{counted(self.facts['patients'], 'patient')}, {self.facts['complete']} with every modality"
        )
        return facts_as_html(title, *parts, findings=[*stops, *self.findings])


OUTCOMES = ["name", "horizon_days", "event", "event_free", "unknown"]


def inspect(cohort: Cohort, recipe: Method | None = None) -> Inspection:
    """Count what a cohort holds, and check it as a run does, without training.

    Args:
        cohort: with or without outcomes.
        recipe: whose split is made; as of ``fit``.

    Raises:
        RecipeError: for a recipe that does not fit the cohort.
    """
    given = cohort.given
    if cohort.data.targets is None:
        return Inspection(inspection_document(given, check_without_split(cohort.table, given)))
    catalog = open_catalog([plugins_of({} if recipe is None else recipe)])
    method = method_for(cohort, catalog, warn=False)[1] if recipe is None else recipe
    check = check_cohort(recipe_for(cohort, method, None, catalog), given)
    return Inspection(inspection_document(given, check))


def in_words(counts: Mapping[str, Any]) -> str:
    """How many patients are of which class, or how the values of a number are spread."""
    if "classes" in counts:
        parts = [f"{number} {name}" for name, number in counts["classes"].items()]
    elif counts["known"]:
        ends = f"{counts['lowest']:.4g} to {counts['highest']:.4g} {counts['unit']}".strip()
        parts = [f"{counted(counts['known'], 'value')}, mean {counts['mean']:.4g} ({ends})"]
    else:
        parts = ["no values"]
    return ", ".join([*parts, f"{counts['unknown']} unknown"])
