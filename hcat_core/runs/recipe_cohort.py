"""Read the cohort that a recipe describes; write the demo cohort first where there is no data yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hcat_core.cohort import Cohort
from hcat_core.data.assembly import ReadReport, assemble_cohort
from hcat_core.data.class_outcomes import with_trained_classes
from hcat_core.data.data_quality import refuse_unmeasured
from hcat_core.data.schema import CohortTable
from hcat_core.errors import UsageError
from hcat_core.layout import Layout
from hcat_core.reading import Reader, VocabularyReader
from hcat_core.recipe import build
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.synth.demo import write_demo

Say = Callable[[str], None]


@dataclass(frozen=True)
class CohortReaders:
    """What a cohort is read from: the reader of each modality, by name, and that of the outcomes."""

    modalities: Mapping[str, Reader]
    outcomes: Reader | None = None


@dataclass(frozen=True)
class GivenCohort:
    """A cohort that has been read before its run begins, and what it was read from."""

    cohort: Cohort
    report: ReadReport
    readers: CohortReaders


def read_recipe_cohort(
    recipe: Recipe, catalog: Catalog, say: Say = lambda message: None
) -> tuple[Cohort, ReadReport]:
    """Read the cohort of a recipe, after writing its demo cohort where ``write_demo_once`` does.

    Raises:
        UsageError: as ``write_demo_once`` does.
        DataError: as the readers and ``assemble_cohort`` do; for a cohort in which nothing was measured.
    """
    given = given_by(recipe, catalog, say)
    return given.cohort, given.report


def given_by(recipe: Recipe, catalog: Catalog, say: Say = lambda message: None) -> GivenCohort:
    """The cohort of a recipe as ``read_recipe_cohort`` reads it, with its readers.

    Raises:
        UsageError, DataError: as ``read_recipe_cohort`` does.
    """
    write_demo_once(recipe, say)
    readers = readers_of(recipe, catalog)
    cohort, report = read_from(readers, recipe.cohort)
    refuse_unmeasured(cohort, report)
    return GivenCohort(cohort, report, readers)


def read_files(
    recipe: Recipe, catalog: Catalog, trained: Layout | None = None
) -> tuple[Cohort, ReadReport]:
    """Read the files that a recipe names, and assemble them to a cohort.

    Args:
        recipe: whose ``cohort`` names the files.
        catalog: of components, for the readers.
        trained: the layout of a trained run, whose categories make the features of one-hot columns, and
            whose classes are those of its outcomes.

    Raises:
        DataError: as the readers and ``assemble_cohort`` do.
    """
    return read_from(readers_of(recipe, catalog), recipe.cohort, trained)


def readers_of(recipe: Recipe, catalog: Catalog) -> CohortReaders:
    """The readers of the files that a recipe names; nothing is read.

    Raises:
        RecipeError: for a reader that cannot be made.
    """
    return CohortReaders(build.build_readers(recipe, catalog), build.build_targets_reader(recipe, catalog))


def read_from(
    source: CohortReaders, table: CohortTable, trained: Layout | None = None
) -> tuple[Cohort, ReadReport]:
    """Read a cohort from its readers.

    Args:
        source: readers of modalities and outcomes.
        table: has the columns of the outcomes and of groups.
        trained: as of ``read_files``.

    Raises:
        DataError: as the readers and ``assemble_cohort`` do.
    """
    readers = dict(source.modalities)
    for modality in () if trained is None else trained.modalities:
        reader = readers.get(modality.name)
        if modality.features and isinstance(reader, VocabularyReader):
            readers[modality.name] = reader.with_features(modality.features)
    targets = table.targets
    if targets is not None and trained is not None:
        targets = with_trained_classes(targets, trained)
    return assemble_cohort(readers, source.outcomes, targets, table.groups, tuple(table.absent))


def write_demo_once(recipe: Recipe, say: Say) -> None:
    """Write the demo cohort, if the recipe has one and its folder does not exist.

    Raises:
        UsageError: if that folder is outside the current directory.
    """
    root = recipe.root
    if recipe.cohort.demo is None or root.exists():
        return
    if not root.is_relative_to(Path.cwd().resolve()):
        raise UsageError(
            f"{recipe.source}: there is no data at {root}, and the demo cohort is written only inside the "
            "current directory. Name your data: --set cohort.root=FOLDER"
        )
    write_demo(root, recipe.cohort.demo, say)
