"""What only a component's constructor can find wrong in a recipe, found before any data is read.

Components are constructed on a layout of the recipe's modalities and tasks. Their widths are not known
yet: they are made up, and an error counts only if it is the same for other widths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hcat_core.data.class_outcomes import text_of
from hcat_core.data.outcome_tasks import tasks_of
from hcat_core.data.schema import CohortTable
from hcat_core.errors import Problem
from hcat_core.interfaces import Fusion, Head, HeadCheckingLoss, HeadSpecificLoss, Loss
from hcat_core.layout import Layout, Modality
from hcat_core.recipe.component_tables import construct
from hcat_core.recipe.schema import TrainingTable
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import Kind
from hcat_core.text.quoting import shown

WIDTHS = (24, 40)  # of modalities, made up
CLASSES = ("1", "2", "3")  # made up, of an outcome whose classes are those of the file
FUSED = 16  # width of the fused vector where no fusion can be constructed
LARGEST = 512  # number in a recipe up to which networks are small; the meta device takes a second to load


@dataclass(frozen=True)
class ComponentTables:
    """The checked component tables of a recipe; one with problems of its own is None, or not there.

    Attributes:
        estimator: its table.
        imputer: its table.
        fusion: its table.
        heads: tables by name, each with its ``task``.
        losses: tables with their ``weight``, in the recipe's order.
    """

    estimator: Mapping[str, Any] | None
    imputer: Mapping[str, Any] | None = None
    fusion: Mapping[str, Any] | None = None
    heads: Mapping[str, Mapping[str, Any]] | None = None
    losses: Sequence[Mapping[str, Any]] = ()


def check_construction(
    tables: ComponentTables, cohort: CohortTable, training: TrainingTable | None, catalog: Catalog
) -> list[Problem]:
    """Construct every component, and report the errors of constructors and of heads with their losses.

    Args:
        tables: of the components.
        cohort: whose modalities and tasks make the layout; its reader tables are checked.
        training: settings of the training loop, or None where they have problems of their own.
        catalog: of components.
    """
    # The random numbers of a run do not depend on this check, and large tensors take no memory.
    device = "cpu" if _largest(tables) <= LARGEST else "meta"
    with torch.random.fork_rng(devices=[]), torch.device(device):
        trial = _Trial(_layouts(cohort), catalog)
        for name, table in cohort.modalities.items():
            trial.reader(table, f"cohort.modalities.{name}")
        if tables.estimator:
            trial.construct("estimator", tables.estimator, "estimator")
        if tables.imputer:
            trial.construct("imputer", tables.imputer, "imputer")
        width = FUSED
        if tables.fusion:
            fusion = trial.construct("fusion", tables.fusion, "fusion")
            width = fusion.width if isinstance(fusion, Fusion) else FUSED
        heads = {
            name: trial.construct("head", table, f"heads.{name}", (table["task"], width))
            for name, table in (tables.heads or {}).items()
            if table.get("task") in {outcome.name for outcome in trial.layouts[0].outcomes}
            and "use" in table
        }
        for place, table in enumerate(tables.losses):
            loss = trial.construct("loss", table, f"losses.{place}")
            if loss is not None:
                trial.problems += _of_loss(table, f"losses.{place}", loss, heads, training, tables, catalog)
    return trial.problems


def _largest(tables: ComponentTables) -> float:
    """The largest number in component tables: widths, layers, numbers of anything."""

    def numbers(value: object) -> Iterator[float]:
        if isinstance(value, Mapping):
            for inner in value.values():
                yield from numbers(inner)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            for inner in value:
                yield from numbers(inner)
        elif isinstance(value, int | float):
            yield value

    networks = (tables.imputer, tables.fusion, tables.heads, tables.losses)
    return max((number for table in networks for number in numbers(table)), default=0.0)


class _Trial:
    """Constructs components, and collects what their constructors refuse."""

    def __init__(self, layouts: Sequence[Layout], catalog: Catalog) -> None:
        self.layouts = layouts
        self.catalog = catalog
        self.problems: list[Problem] = []

    def reader(self, table: Mapping[str, Any], key: str) -> None:
        """Construct a reader, which has no layout and does not look at its file yet."""
        try:
            construct(self.catalog, "reader", table, (), Path.cwd())
        except ValueError as error:
            self.problems.append(Problem(key, str(error)))
        except Exception:  # a third party's constructor may raise anything, when it is built in earnest
            pass

    def construct(
        self, kind: Kind, table: Mapping[str, Any], key: str, more: tuple[object, ...] = ()
    ) -> object | None:
        """The component; None where it cannot be constructed. It is a problem where no layout will do."""
        messages = []
        for layout in self.layouts:
            try:
                return construct(self.catalog, kind, table, (layout, *more), Path.cwd())  # type: ignore[no-any-return]
            except ValueError as error:
                messages.append(str(error))
            except Exception:  # a third party's constructor may raise anything, when it is built in earnest
                return None
        if len(set(messages[: len(WIDTHS)])) == 1:
            self.problems.append(Problem(key, messages[0]))
        return None


def _layouts(cohort: CohortTable) -> list[Layout]:
    """Layouts that differ in widths, and, where some modalities have no file, one in which they have."""
    targets = cohort.targets
    tables = {} if targets is None else targets.tasks
    tasks = tuple(
        task
        for name, table in tables.items()
        for task in tasks_of(name, table, [text_of(value) for value in table.classes or CLASSES])
    )
    names, absent = tuple(cohort.modalities), tuple(cohort.absent)
    layouts = [Layout(_modalities(names, width), tasks, absent) for width in WIDTHS]
    if absent:  # a trained run keeps its modalities when it is given fewer files
        layouts.append(Layout(_modalities((*names, *absent), WIDTHS[0]), tasks))
    return layouts


def _modalities(names: Sequence[str], width: int) -> tuple[Modality, ...]:
    return tuple(Modality(name, width) for name in names)


def _of_loss(
    table: Mapping[str, Any],
    key: str,
    loss: object,
    heads: Mapping[str, object | None],
    training: TrainingTable | None,
    tables: ComponentTables,
    catalog: Catalog,
) -> Iterator[Problem]:
    """What a loss cannot do: train its head, or compare two views that are the same."""
    head = heads.get(str(table.get("head")))
    if isinstance(loss, HeadCheckingLoss) and isinstance(head, Head):
        reason = loss.refuse_head(head)
        if reason is not None:
            name = str(table["head"])
            use = str((tables.heads or {})[name]["use"])
            yield Problem(f"{key}.use", f'"{table["use"]}" {reason}{_instead(name, use, catalog)}')
    equal_views = training is not None and training.moddrop == 0 and training.emb_noise == 0
    if equal_views and isinstance(loss, Loss) and loss.needs_second_view and table.get("weight", 1):
        yield Problem(
            key,
            f'"{table["use"]}" compares two views of a patient, and without training.moddrop and '
            "training.emb_noise they are the same. Set one of them above 0, or leave the loss out",
        )


def _instead(head: str, use: str, catalog: Catalog) -> str:
    """The losses that were made for a head's component."""
    made = [
        name
        for name, cls in _loss_classes(catalog)
        if isinstance(cls, HeadSpecificLoss) and cls.made_for == use
    ]
    text = f'; the head {shown(head)} has use = "{use}"'
    return text + (f", which {' or '.join(map(shown, made))} trains" if made else "")


def _loss_classes(catalog: Catalog) -> Iterator[tuple[str, object]]:
    for entry in catalog.registries["loss"]:
        try:
            yield entry.component.name, entry.component.load()
        except Exception:  # a third party's module may raise anything; it is no suggestion then
            continue
