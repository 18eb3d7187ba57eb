"""Check that estimators and heads can predict the kinds of outcome that a recipe has."""

from __future__ import annotations

from typing import Any

from hcat_core.data.schema import OutcomeKind, TargetsTable
from hcat_core.errors import Problem
from hcat_core.interfaces.outcome_kinds import EVENTS, EVENTS_AND_CLASSES, OutcomeKinds
from hcat_core.layout import TaskKind
from hcat_core.recipe.checks import Tables
from hcat_core.recipe.component_tables import components_in
from hcat_core.recipe.schema import TrainingTable
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import Component, Kind
from hcat_core.text.quoting import shown

KIND_OF: dict[OutcomeKind, TaskKind] = {
    "event": "event",
    "multiclass": "class",
    "continuous": "continuous",
}
IN_WORDS: dict[OutcomeKind, str] = {
    "event": "an event",
    "multiclass": "an outcome of classes",
    "continuous": "a number",
}


def check_outcome_kinds(
    targets: TargetsTable | None, estimator: dict[str, Any], heads: Tables, catalog: Catalog
) -> list[Problem]:
    """Report estimators, also those within another one, and heads that cannot predict an outcome's kind.

    Args:
        targets: the outcomes; None for a recipe without.
        estimator: its checked table.
        heads: checked tables by name, each with its ``task``.
        catalog: of components.
    """
    tasks = {} if targets is None else targets.tasks
    problems = []
    for part in components_in(catalog, "estimator", estimator, "estimator"):
        for name, task in tasks.items():
            if part.kind == "estimator" and not _can(catalog, part.kind, part.name, task.kind):
                others = f"use one that can, such as {_able(catalog, 'estimator', task.kind)}"
                problems.append(Problem(part.key, _message(part.name, name, task.kind, others)))
                break
    for head, table in heads.items():
        task_name = str(table["task"])
        kind = tasks[task_name].kind if task_name in tasks else None
        if kind is not None and not _can(catalog, "head", str(table.get("use")), kind):
            others = f"use {_able(catalog, 'head', kind)}"
            message = _message(str(table.get("use")), task_name, kind, others)
            problems.append(Problem(f"heads.{head}.use", message))
    return problems


def check_monitor(targets: TargetsTable | None, training: TrainingTable) -> list[Problem]:
    """Report a score of validation patients that none of the outcomes has."""
    kinds = {task.kind for task in ({} if targets is None else targets.tasks).values()}
    if training.monitor != "f1" or kinds != {"continuous"}:
        return []
    message = (
        '"f1" is a score of decisions, which there are none of about a number: use "likelihood" or "auc"'
    )
    return [Problem("training.monitor", message)]


def kinds_of(component: Component) -> frozenset[TaskKind]:
    """The kinds of outcome that a head or an estimator can predict."""
    usual = EVENTS if component.kind == "head" else EVENTS_AND_CLASSES
    try:
        loaded = component.load()
    except Exception:  # a third party's module may raise anything; check_component has reported it
        return usual
    return loaded.outcome_kinds if isinstance(loaded, OutcomeKinds) else usual


def _can(catalog: Catalog, kind: Kind, name: str, of: OutcomeKind) -> bool:
    component = catalog.registries[kind].find(name)
    return component is None or KIND_OF[of] in kinds_of(component)


def _able(catalog: Catalog, kind: Kind, of: OutcomeKind) -> str:
    """The components that ship with hcat and can predict a kind of outcome."""
    components = [entry.component for entry in catalog.registries[kind]]
    able = [c.name for c in components if "/" not in c.name and KIND_OF[of] in kinds_of(c)]
    return (" or " if kind == "head" else ", ").join(map(shown, able))


def _message(use: str, task: str, kind: OutcomeKind, others: str) -> str:
    return f'"{use}" cannot predict {IN_WORDS[kind]}, which {shown(task)} is: {others}'
