"""What a run says of its cohort before it trains, and whether it stops; ``hcat inspect`` says the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from hcat_core.cohort import Cohort
from hcat_core.data.data_quality import QualityIssue, find_quality_issues
from hcat_core.data.leakage import Leak, LeakCheck, describe_leaks, find_leaks, leak_check
from hcat_core.data.schema import CohortTable
from hcat_core.data.splits import Split, split_by_column, split_cohort
from hcat_core.errors import DataError
from hcat_core.evaluation.cohort_counts import describe_readers, inspect_cohort
from hcat_core.evaluation.sample_size import AnySampleSize, check_sample_size
from hcat_core.reading import Reader
from hcat_core.recipe.recipe import Recipe
from hcat_core.runs.recipe_cohort import GivenCohort


@dataclass(frozen=True)
class CohortCheck:
    """What was found in the cohort of a run.

    Attributes:
        split: of its patients, as a run of this recipe makes it; None where that is not possible,
            and without targets.
        refusal: why the patients cannot be split, or None.
        leaks: features that give an outcome away; without a split, of their names alone.
        checked: how much of the cohort could be checked for leaks.
        issues: likely faults, and findings of the readers.
        sizes: how many patients each outcome has and needs.
    """

    split: Split | None
    refusal: str | None
    leaks: Sequence[Leak]
    checked: LeakCheck
    issues: Sequence[QualityIssue]
    sizes: Sequence[AnySampleSize]

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why a run stops before it trains: the split, then leaks; empty where it goes on."""
        leaks = (describe_leaks(self.leaks),) if self.leaks else ()
        return (*([] if self.refusal is None else [self.refusal]), *leaks)

    def as_json(self) -> dict[str, object]:
        """The record for a JSON document: counts and sentences, no patient ids."""
        parts = {} if self.split is None else self.split.parts
        return {
            "split": {side: len(rows) for side, rows in parts.items()},
            "refusals": [] if self.refusal is None else [self.refusal],
            "leaks": [asdict(leak) for leak in self.leaks],
            "leaks_checked": asdict(self.checked),
            "warnings": [asdict(issue) for issue in self.issues],
            "sample_size": [size.as_json() for size in self.sizes],
        }

    def require_split(self) -> Split:
        """The split of a run that goes on.

        Raises:
            DataError: with all refusals.
        """
        if self.refusals or self.split is None:
            raise DataError("\n".join(self.refusals))
        return self.split


def check_cohort(recipe: Recipe, given: GivenCohort) -> CohortCheck:
    """Split a cohort as a run of the recipe does, and look for all that a run would say of it.

    Without targets there is no split.
    """
    if given.cohort.targets is None:
        return check_without_split(recipe.cohort, given)
    try:
        split = _split(recipe, given.cohort, given.readers.outcomes)
    except DataError as error:
        return check_without_split(recipe.cohort, given, str(error))
    return _check(recipe.cohort, given, split, None)


def check_without_split(table: CohortTable, given: GivenCohort, refusal: str | None = None) -> CohortCheck:
    """Look for all that can be found without training patients: leaks by the names of features alone.

    Args:
        table: the cohort as a recipe describes it.
        given: the cohort.
        refusal: why it cannot be split.
    """
    return _check(table, given, None, refusal)


def inspection_document(given: GivenCohort, check: CohortCheck) -> dict[str, Any]:
    """What ``hcat inspect --json`` prints: counts, how files are laid out, and what a run would say."""
    layouts = describe_readers(given.readers.modalities)
    return inspect_cohort(given.cohort, given.report, layouts) | check.as_json()


def _check(table: CohortTable, given: GivenCohort, split: Split | None, refusal: str | None) -> CohortCheck:
    cohort = given.cohort
    train = torch.zeros(0, dtype=torch.int64) if split is None else split.train
    return CohortCheck(
        split=split,
        refusal=refusal,
        leaks=find_leaks(cohort, train, table.targets, table.allow),
        checked=leak_check(cohort, train, table.allow),
        issues=find_quality_issues(cohort, given.report, split),
        sizes=check_sample_size(cohort),
    )


def _split(recipe: Recipe, cohort: Cohort, reader: Reader | None) -> Split:
    if recipe.split.column is None:
        return split_cohort(cohort, recipe.split, recipe.seed)
    targets = recipe.cohort.targets
    assert reader is not None and targets is not None, "a cohort with targets has their reader"
    return split_by_column(cohort, reader, recipe.split.column, targets.missing)
