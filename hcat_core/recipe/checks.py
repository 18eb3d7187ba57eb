"""Check a recipe's modalities, tasks, heads and losses, and whether they fit each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hcat_core.data.class_outcomes import text_of
from hcat_core.data.outcome_tasks import tasks_of
from hcat_core.data.schema import CohortTable, TargetsTable
from hcat_core.errors import Problem
from hcat_core.interfaces import HeadSpecificLoss
from hcat_core.recipe.component_tables import check_component, components_in
from hcat_core.recipe.loading import NEURAL
from hcat_core.recipe.names import AVERAGE, check_name, check_names
from hcat_core.recipe.task_columns import check_shared_columns, check_task_columns
from hcat_core.recipe.toml_text import Tree, values_in
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import EVERY_HEAD, NEEDS_TIMES
from hcat_core.text.quoting import is_utf8, name_in_quotes, shown
from hcat_core.text.spelling import did_you_mean

LARGEST = 2**63 - 1  # of TOML's whole numbers
OTHER_COLUMNS = ("patient_id", "split", "modalities", "missing")  # of files of predictions

Tables = dict[str, dict[str, Any]]


def check_modalities(cohort: CohortTable, catalog: Catalog) -> tuple[Tables, list[Problem]]:
    """Check the reader tables; returns them by modality, and problems.

    A modality that is ``false`` is none. This is so also where there is nothing to remove: ``--set`` may be
    meant for several recipes, some of which do not have the modality.
    """
    tables = {name: table for name, table in cohort.modalities.items() if table is not False}
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
    """Check the tasks, and whether their names and outputs differ."""
    key = "cohort.targets.tasks"
    if not targets.tasks:
        return [Problem(key, "is needed: a table for each task")]
    problems = check_names(targets.tasks, key)
    problems += check_shared_columns(targets)
    outputs: dict[str, str] = {}
    for name, task in targets.tasks.items():
        task_key = f"{key}.{name}"
        problems += check_task_columns(task, task_key)
        if name == AVERAGE:
            problems.append(
                Problem(key, f"{shown(name)} is the name of the average of all tasks; choose another")
            )
        if task.outcome is not None:
            problems += check_name(task.outcome, f"{task_key}.outcome")
        peers = [peer for peer in targets.tasks if peer != name]
        if task.kind != "event":
            pass  # a competing event does not belong to it, which its columns' check has said
        elif task.competing is not None and task.competing not in peers:
            wanted = name_in_quotes(task.competing)
            message = f"no other task is named {wanted}.{did_you_mean(task.competing, peers)}"
            problems.append(Problem(f"{task_key}.competing", message))
        elif task.competing is not None and None in (task.time, targets.tasks[task.competing].time):
            message = f"which event came first needs the time and event of {name} and {task.competing}"
            problems.append(Problem(f"{task_key}.competing", message))
        categories = [text_of(value) for value in task.classes or ()]
        for output in (one.output_name for one in tasks_of(name, task, categories)):
            other = outputs.setdefault(output, name)
            if other != name:
                message = (
                    f"{shown(other)} and {shown(name)} would both be called {output}: name their outcomes"
                )
                problems.append(Problem(key, message))
            if output in OTHER_COLUMNS:
                message = (
                    f"{shown(output)} is another column of predictions.csv: name the outcome otherwise"
                )
                problems.append(Problem(f"{task_key}.outcome", message))
    return problems


def check_heads(
    tables: object, catalog: Catalog, tasks: tuple[str, ...] | None
) -> tuple[Tables | None, list[Problem]]:
    """Check the head tables; returns them by name, each with its task, or None if there are none."""
    if not isinstance(tables, dict):
        message = f"expected a table for each head, [heads.NAME], got {shown(tables)}"
        return None, [Problem("heads", message)]
    if not tables:
        return None, [Problem("heads", "is needed: a table for each head, [heads.NAME]")]
    problems = check_names(tables, "heads")
    result: Tables = {}
    unknown_task = False
    for name, table in tables.items():
        checked = check_component(catalog, "head", table, f"heads.{name}", reserved=("task",))
        problems += checked.problems
        task = table.get("task", name) if isinstance(table, dict) else name
        result[name] = {"task": task, **(checked.table or {})}
        if tasks is None or task in tasks:
            continue
        unknown_task = True
        message = f"expected a task's name, got {shown(task)}"
        if isinstance(task, str):
            message = f"no task is named {name_in_quotes(task)}.{did_you_mean(task, tasks)}"
        problems.append(Problem(f"heads.{name}.task", message))
    predicted = [head["task"] for head in result.values()]
    for task in tasks or ():
        if task not in predicted and not unknown_task:
            problems.append(Problem("heads", f"no head predicts the task {shown(task)}"))
    return result, problems


def check_losses(
    tables: object, catalog: Catalog, heads: Tables | None
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Check the loss tables; returns them with their weights. ``heads`` is None if they are not tables."""
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
            message = f"expected a number of at least 0 that is finite, got {shown(weight)}"
            problems.append(Problem(f"{key}.weight", message))
        head = table.get("head")
        if isinstance(head, str) and heads is not None:
            problems += _check_head_of_loss(key, table, head, heads, catalog)
        result.append({**table, "weight": weight, **(checked.table or {})})
    return result, problems


def check_trained(heads: Tables, losses: list[dict[str, Any]], catalog: Catalog) -> list[Problem]:
    """Report heads that no loss with a weight trains."""
    losses = [table for table in losses if table.get("weight") != 0]
    components = [catalog.registries["loss"].find(str(table.get("use"))) for table in losses]
    if any(component is not None and EVERY_HEAD in component.tags for component in components):
        return []
    named = [table.get("head") for table in losses]
    return [
        Problem(f"heads.{name}", f"no loss trains this head: one of [[losses]] needs head = {shown(name)}")
        for name in heads
        if name not in named
    ]


def check_times(
    targets: TargetsTable | None, estimator: dict[str, Any], heads: Tables, catalog: Catalog
) -> list[Problem]:
    """Report estimators and heads that need times, where the task they predict has labels alone."""
    events = {} if targets is None else {n: t for n, t in targets.tasks.items() if t.kind == "event"}
    untimed = [name for name, task in events.items() if task.time is None]
    if not untimed:
        return []
    used = [(part, untimed) for part in components_in(catalog, "estimator", estimator, "estimator")]
    for name, head in heads.items():
        parts = components_in(catalog, "head", head, f"heads.{name}")
        used += [(part, [task for task in untimed if task == head["task"]]) for part in parts]
    return [
        Problem(
            part.key,
            f'"{part.name}" needs times, and the task {shown(tasks[0])} has a label alone: give its time '
            "and event, "
            + (
                'or use a "binary" head'
                if part.kind == "head"
                else "or use an estimator for labels, such as logistic"
            ),
        )
        for part, tasks in used
        if tasks and NEEDS_TIMES in catalog.find(part.kind, part.name).tags
    ]


def check_baselines(names: object, catalog: Catalog) -> list[Problem]:
    """Check the names of estimators that are fitted for comparison, with default parameters."""
    problems: list[Problem] = []
    for place, name in enumerate(names if isinstance(names, list) else ()):
        key = f"evaluation.baselines.{place}"
        if name == NEURAL:
            problems.append(Problem(key, f"{shown(name)} cannot be a baseline: it needs further tables"))
            continue
        for problem in check_component(catalog, "estimator", {"use": name}, key).problems:
            problems.append(Problem(problem.key.removesuffix(".use"), problem.message))
    return problems


def _check_head_of_loss(
    key: str, table: Mapping[str, Any], head: str, heads: Tables, catalog: Catalog
) -> list[Problem]:
    """Check that a loss names a head that exists, of the component that the loss was made for."""
    if head not in heads:
        message = f"no head is named {name_in_quotes(head)}.{did_you_mean(head, heads)}"
        return [Problem(f"{key}.head", message)]
    component = catalog.registries["loss"].find(str(table.get("use")))
    use = heads[head].get("use")
    if component is None or use is None:
        return []
    try:
        loss = component.load()
    except Exception:  # a third party's module may raise anything; check_component has reported it
        return []
    if not isinstance(loss, HeadSpecificLoss) or loss.made_for == use:
        return []
    wanted = loss.made_for
    message = f'"{component.name}" trains heads with use = "{wanted}"; {shown(head)} has "{use}"'
    return [Problem(f"{key}.head", message)]


def check_savable(tree: Tree) -> list[Problem]:
    """Report values that the recipe.toml of a run could not hold, or that no path or name could."""
    return [
        Problem(key, message)
        for key, _, value in values_in(tree)
        if (message := _why_not_saved(value)) is not None
    ]


def _why_not_saved(value: object) -> str | None:
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"the number is too large: whole numbers end at {LARGEST}"
    if isinstance(value, str) and "\0" in value:
        return f"{shown(value)} holds a null character, which no path, column or name can have"
    if isinstance(value, str) and not is_utf8(value):
        return f"{shown(value)} is not UTF-8, and a recipe is: give the file or folder another name"
    return None
