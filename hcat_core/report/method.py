"""What a run did, in sentences: division, preparation, training, recalibration and thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hcat_core.data.splits import SPLITS
from hcat_core.evaluation.summary import MemberSummary
from hcat_core.report.formatting import counted, listed, number
from hcat_core.report.inputs import ReportInputs

CHOSEN_BY = {
    "validation patients": "on the validation patients",
    "inner folds": "on training patients in inner folds, by models fitted without the patient",
    "members": "on training patients, by the members that were trained without the patient",
}


def division(inputs: ReportInputs) -> str:
    """How patients were divided into training, validation and test patients."""
    data, recipe = inputs.summary.data, inputs.summary.recipe
    sides = [f"{data.split[side].patients} {side}" for side in SPLITS if data.split[side].patients]
    column, groups = recipe["split"].get("column"), inputs.groups is not None
    if column is not None:
        text = f"Patients were divided by the column {column} of the outcomes file: {listed(sides)}."
    elif len(sides) > 1:
        text = f"Patients were divided at random (seed {recipe['seed']}), stratified by the outcomes of "
        text += "all tasks" if len(inputs.cohort.layout.outcomes) > 1 else "the task"
        text += f"{' as far as groups allow' if groups else ''}: {listed(sides)}."
    else:
        text = f"All patients are training patients ({listed(sides)}): none were held out for a test."
    if groups and len(sides) > 1:
        text += " Records of one group (cohort.groups) are on one side."
    took = inputs.summary.run.held_out in ("inner folds", "members", "estimator")
    if took and column is None and recipe["split"]["validation"] > 0:
        text += " Those set aside for validation are among the training patients: the estimator needs none."
    return text


def preparation(inputs: ReportInputs) -> str:
    """What was done to the features between the files and the model."""
    summary = inputs.summary
    several = [f"{m.name}: {m.rows} rows of {m.patients} patients" for m in _aggregated(inputs)]
    parts = [f"Several rows of a patient were aggregated to one ({listed(several)})."] if several else []
    if summary.run.training is not None:
        parts.append("Features were standardised with means and standard deviations of training patients.")
    else:
        parts.append(
            f"The estimator {summary.run.estimator} was given the values of the files; what it scales, "
            "imputes or selects was fitted on training patients."
        )
    for key, table in _component_tables(summary.recipe):
        if table.get("tails"):
            parts.append(
                f"Values beyond a feature's quantiles at {100 * table['tails']:g} % of training patients, "
                f"at either end, were moved to the quantile ({key} {table['use']})."
            )
    return " ".join(parts)


def _aggregated(inputs: ReportInputs) -> list[Any]:
    return [m for m in inputs.summary.data.modalities if m.rows > m.patients]


def weighted_training(inputs: ReportInputs) -> str:
    """Which components weighted known outcomes for censoring while they were fitted; empty without any."""
    tasks = inputs.cohort.layout.tasks
    timed = {task.name for column, task in enumerate(tasks) if inputs.timed(column)}
    weighting = [
        f"{key} {table['use']}"
        for key, table in _component_tables(inputs.summary.recipe)
        if table.get("ipcw") is True and (table["task"] in timed if "task" in table else timed)
    ]
    if not weighting:
        return ""
    who = listed(weighting)
    return f"In training, known outcomes were weighted by the inverse probability of censoring ({who})."


def missing_modalities(inputs: ReportInputs) -> str:
    """How the model treats what a patient lacks."""
    recipe, cohort = inputs.summary.recipe, inputs.cohort
    complete = int(cohort.present.all(dim=1).sum())
    text = f"{complete} of {counted(len(cohort), 'patient')} have every modality; the others were kept"
    none = int((~cohort.present.any(dim=1)).sum())
    text += f", but for {none} without any." if none else "."
    if complete == len(cohort):
        text = "Every patient has every modality."
    imputer, estimator = recipe.get("imputer", {}).get("use"), inputs.summary.run.estimator
    if imputer is None:
        return (
            f"{text} What a patient lacks is handled by the estimator {estimator}: hcat show describes it."
        )
    own = "" if inputs.summary.run.training is not None else f" for the networks of {estimator}"
    return f"{text} What a patient lacks is imputed by the imputer {imputer}{own}."


def recalibration(inputs: ReportInputs) -> str:
    """Whether probabilities were recalibrated, on whom, and how."""
    run, layout = inputs.summary.run, inputs.cohort.layout
    names = [layout.tasks[column].name for column in layout.event_columns]
    if run.held_out == "nobody":
        return "Probabilities were not recalibrated: there are no validation patients."
    if run.held_out == "estimator":
        return f"The estimator {run.estimator} calibrates its probabilities itself; hcat changed nothing."
    slope, intercept = run.recalibration.slope, run.recalibration.intercept
    fitted = [
        f"{task} slope {number(slope[column], 2)} and intercept {number(intercept[column], 2)}"
        for column, task in zip(layout.event_columns, names, strict=True)
        if _known_to(inputs, task)
    ]
    fitted += [
        f"{outcome.name} slope {number(slope[outcome.columns[0]], 2)} and an intercept for each class"
        for outcome in layout.outcomes
        if outcome.kind == "class"
    ]
    without = [task for task in names if not _known_to(inputs, task)]
    text = (
        f"Probabilities were recalibrated {CHOSEN_BY[run.held_out]}: {'; '.join(fitted)}." if fitted else ""
    )
    if without:
        text += f" Not recalibrated, as no validation patient has a known outcome: {listed(without)}."
    if layout.numbers:
        of = listed([layout.tasks[column].name for column in layout.numbers])
        text += f" The 90 % intervals of {of} were made as wide as errors were {CHOSEN_BY[run.held_out]}."
    return text.strip()


def thresholds(inputs: ReportInputs) -> str:
    """Where the thresholds of F1, sensitivity and specificity come from."""
    run, layout = inputs.summary.run, inputs.cohort.layout
    names = [layout.tasks[column].name for column in layout.event_columns]
    if run.held_out == "nobody":
        return "The threshold is 0.5: there are no validation patients to choose one on."
    if run.held_out == "estimator":
        return f"The threshold was chosen by the estimator {run.estimator} itself."
    without = [task for task in names if not _both_known_to(inputs, task)]
    if len(without) == len(names):
        return "The threshold is 0.5: no task has validation patients with both outcomes to choose one on."
    text = f"The threshold is the one with the highest F1 {CHOSEN_BY[run.held_out]}"
    if without:
        text += f"; that of {listed(without)} is 0.5, as no validation patients have both outcomes"
    return f"{text}."


def training_in_words(inputs: ReportInputs) -> list[str]:
    """How the neural trainings of a run went: how long, which epoch was kept, who chose it."""
    training = inputs.summary.run.training
    if training is None:
        return [f"The estimator {inputs.summary.run.estimator} is not trained in epochs."]
    if len(training.members) > 1:
        chosen = [_kept(member) for member in training.members]
        kept = ", ".join(map(str, chosen)) + ("; 0 is before the first" if 0 in chosen else "")
        return [
            f"{len(training.members)} members, each trained without one part of the training patients, who "
            f"chose its epoch ({kept}). Their predictions are averaged."
        ]
    member = training.members[0]
    epochs = f"{counted(member.epochs, 'epoch')}."
    best = member.best_epoch.get("average")
    if best is None:
        return [f"{epochs} No validation patients chose one: the model has the weights of the last epoch."]
    which = f"of epoch {best}" if best else "from before the first epoch"
    return [
        f"{epochs} The model has the weights {which}, the best ones on validation patients, whose own "
        "figures are therefore too optimistic."
    ]


def _kept(member: MemberSummary) -> int:
    """The epoch whose weights a member has; 0 is the state before the first one."""
    return int(member.best_epoch.get("average", member.epochs))


def _known_to(inputs: ReportInputs, task: str) -> bool:
    """Whether those who recalibrated the model include a known outcome of the task."""
    if inputs.summary.run.held_out != "validation patients":
        return True  # training patients, who have both outcomes of every task
    counts = inputs.summary.data.split["validation"].labels[task]
    return counts.event + counts.event_free > 0


def _both_known_to(inputs: ReportInputs, task: str) -> bool:
    if inputs.summary.run.held_out != "validation patients":
        return True
    counts = inputs.summary.data.split["validation"].labels[task]
    return counts.event > 0 and counts.event_free > 0


def _component_tables(recipe: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Key and table of each component that is fitted to outcomes, those in other tables too."""
    for key in ("estimator", "heads", "losses"):
        yield from _tables_in(recipe.get(key, {}), key)


def _tables_in(value: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        if "use" in value:
            yield key, value
        for name, inner in value.items():
            yield from _tables_in(inner, f"{key}.{name}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _tables_in(inner, f"{key}.{place}")
