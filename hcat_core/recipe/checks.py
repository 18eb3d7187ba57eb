"""A recipe's modalities, tasks, heads and losses: each table, and whether they fit each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hcat_core.cohort import Task
from hcat_core.data.schema import CohortTable, TargetsTable
from hcat_core.errors import Problem
from hcat_core.interfaces import HeadSpecificLoss
from hcat_core.recipe.component_tables import check_component
from hcat_core.recipe.loading import NEURAL
from hcat_core.recipe.names import AVERAGE, check_name, check_names
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import EVERY_HEAD
from hcat_core.text.quoting import name_in_quotes, shown
from hcat_core.text.spelling import did_you_mean

Tables = dict[str, dict[str, Any]]


def check_modalities(cohort: CohortTable, catalog: Catalog) -> tuple[Tables, list[Problem]]:
    """The reader tables by modality."""
    tables = cohort.modalities
    if not tables:
        return {}, [Problem("cohort.modalities", "is needed: a table for each modality")]
    problems = check_names([*tables, *cohort.absent], "cohort.modalities")
    result = {}
    for name, table in tables.items():
        checked = check_component(catalog, "reader", table, f"cohort.modalities.{name}")
        problems += checked.problems
        if checked.table is not None:
            result[name] = checked.table
    for name in cohort.absent:
        if name in tables:
            problems.append(Problem("cohort.absent", f"{shown(name)} has a table in cohort.modalities"))
    return result, problems


def check_tasks(targets: TargetsTable) -> list[Problem]:
    """What is wrong with the tasks, alone and beside each other."""
    key = "cohort.targets.tasks"
    if not targets.tasks:
        return [Problem(key, "is needed: a table for each task")]
    problems = check_names(targets.tasks, key)
    outputs: dict[str, str] = {}
    for name, task in targets.tasks.items():
        here = f"{key}.{name}"
        if name == AVERAGE:
            problems.append(Problem(key, f"{shown(name)} is what hcat calls the average of all tasks"))
        if task.outcome is not None:
            problems += check_name(task.outcome, f"{here}.outcome")
        if (task.time is None) != (task.event is None):
            problems.append(Problem(here, "time and event belong together; only one is given"))
        elif task.label is None and task.time is None:
            problems.append(Problem(here, "is needed: a label, or a time and an event"))
        peers = [peer for peer in targets.tasks if peer != name]
        if task.competing is not None and task.competing not in peers:
            wanted = name_in_quotes(task.competing)
            message = f"no other task is named {wanted}.{did_you_mean(task.competing, peers)}"
            problems.append(Problem(f"{here}.competing", message))
        output = Task(name, task.horizon_days, task.outcome or name).output_name
        other = outputs.setdefault(output, name)
        if other != name:
            said = f"{shown(other)} and {shown(name)} would both be called {output}: name their outcomes"
            problems.append(Problem(key, said))
    return problems


def check_heads(
    tables: object, catalog: Catalog, tasks: tuple[str, ...] | None
) -> tuple[Tables | None, list[Problem]]:
    """The head tables by name, each with its task; None where there are none to speak of."""
    if not isinstance(tables, dict):
        said = f"expected a table for each head, [heads.NAME], got {shown(tables)}"
        return None, [Problem("heads", said)]
    if not tables:
        return None, [Problem("heads", "is needed: a table for each head, [heads.NAME]")]
    problems = check_names(tables, "heads")
    result: Tables = {}
    strangers = False
    for name, table in tables.items():
        checked = check_component(catalog, "head", table, f"heads.{name}", reserved=("task",))
        problems += checked.problems
        task = table.get("task", name) if isinstance(table, dict) else name
        result[name] = {"task": task, **(checked.table or {})}
        if tasks is None or task in tasks:
            continue
        strangers = True
        said = f"expected a task's name, got {shown(task)}"
        if isinstance(task, str):
            said = f"no task is named {name_in_quotes(task)}.{did_you_mean(task, tasks)}"
        problems.append(Problem(f"heads.{name}.task", said))
    predicted = [head["task"] for head in result.values()]
    for task in tasks or ():
        if task not in predicted and not strangers:
            problems.append(Problem("heads", f"no head predicts the task {shown(task)}"))
    return result, problems


def check_losses(
    tables: object, catalog: Catalog, heads: Tables | None
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The loss tables, each with its weight; ``heads`` are None where they could not be read."""
    if not isinstance(tables, list):
        return [], [Problem("losses", f"expected a list, [[losses]], got {shown(tables)}")]
    if not tables:
        return [], [Problem("losses", "is needed: at least one loss, [[losses]]")]
    problems: list[Problem] = []
    result: list[dict[str, Any]] = []
    for place, table in enumerate(tables):
        key = f"losses.{place}"
        checked = check_component(catalog, "loss", table, key, reserved=("weight",))
        problems += checked.problems
        if not isinstance(table, dict):
            continue
        weight = table.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            said = f"expected a number of at least 0 that is finite, got {shown(weight)}"
            problems.append(Problem(f"{key}.weight", said))
        head = table.get("head")
        if isinstance(head, str) and heads is not None:
            problems += _fit(key, table, head, heads, catalog)
        result.append({**table, "weight": weight, **(checked.table or {})})
    return result, problems


def check_trained(heads: Tables, losses: list[dict[str, Any]], catalog: Catalog) -> list[Problem]:
    """Heads that no loss would train."""
    found = [catalog.registries["loss"].find(str(table.get("use"))) for table in losses]
    if any(component is not None and EVERY_HEAD in component.tags for component in found):
        return []
    named = [table.get("head") for table in losses]
    return [
        Problem(f"heads.{name}", f"no loss trains this head: one of [[losses]] needs head = {shown(name)}")
        for name in heads
        if name not in named
    ]


def check_baselines(names: object, catalog: Catalog) -> list[Problem]:
    """Estimators that are fitted beside the recipe's own, at their defaults."""
    problems: list[Problem] = []
    for place, name in enumerate(names if isinstance(names, list) else ()):
        key = f"evaluation.baselines.{place}"
        if name == NEURAL:
            problems.append(Problem(key, f"{shown(name)} is no baseline: it needs tables of its own"))
            continue
        for problem in check_component(catalog, "estimator", {"use": name}, key).problems:
            problems.append(Problem(problem.key.removesuffix(".use"), problem.message))
    return problems


def _fit(key: str, table: Mapping[str, Any], head: str, heads: Tables, catalog: Catalog) -> list[Problem]:
    """Does a loss name a head that is there, and of the kind that it was made for?"""
    if head not in heads:
        said = f"no head is named {name_in_quotes(head)}.{did_you_mean(head, heads)}"
        return [Problem(f"{key}.head", said)]
    component = catalog.registries["loss"].find(str(table.get("use")))
    found = heads[head].get("use")
    if component is None or found is None:
        return []
    try:
        loss = component.load()
    except Exception:  # a third party's module may raise anything; check_component has reported it
        return []
    if not isinstance(loss, HeadSpecificLoss) or loss.made_for == found:
        return []
    wanted = loss.made_for
    said = f'"{component.name}" is the loss of heads with use = "{wanted}"; {shown(head)} has "{found}"'
    return [Problem(f"{key}.head", said)]
