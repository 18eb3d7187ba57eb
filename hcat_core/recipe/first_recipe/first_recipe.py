"""Write a recipe for files that have no recipe yet: what they show is decided, the rest is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hcat_core.data.patient_ids import IdNormaliser
from hcat_core.errors import DataError, Problem, RecipeError
from hcat_core.recipe.first_recipe.document import Line, TableText, render
from hcat_core.recipe.first_recipe.features import FeatureChoice, choose_features, modality_table
from hcat_core.recipe.first_recipe.files import (
    CohortFile,
    make_reader,
    open_files,
    open_outcomes,
    recipe_path,
)
from hcat_core.recipe.first_recipe.method import method_of, method_text
from hcat_core.recipe.first_recipe.outcome_columns import TaskText, tasks_of
from hcat_core.recipe.first_recipe.questions import Interview, Question
from hcat_core.recipe.first_recipe.wanted import Wanted
from hcat_core.recipe.names import check_names
from hcat_core.recipe.recipe import check_recipe
from hcat_core.recipe.toml_text import parse_toml
from hcat_core.registry.catalog import Catalog

NAME = Line("name", "my cohort", "on top of pages and in the model card", active=False)
GROUPS = "stays on one side of every split"


@dataclass(frozen=True)
class FirstRecipe:
    """A recipe as text, and sentences on what was seen and decided for it."""

    text: str
    seen: tuple[str, ...]


def write_first_recipe(wanted: Wanted, catalog: Catalog, interview: Interview) -> FirstRecipe:
    """Look at the files, and make a recipe that runs on them.

    Args:
        wanted: what the user says.
        catalog: of components.
        interview: asks what cannot be seen.

    Raises:
        UsageError: where a question stays open, with all of them.
        DataError: for files that cannot be read.
        RecipeError: for a model that does not fit the outcomes.
    """
    problems = check_names(wanted.inputs, "--input")
    if problems:
        raise RecipeError("hcat init", problems)
    files = open_files(wanted, catalog, interview)
    outcomes = open_outcomes(wanted, files, catalog, interview)
    tasks = [] if outcomes is None else tasks_of(wanted, outcomes, interview)
    if outcomes is not None:
        _check_patients(files, outcomes, wanted, interview)
    choices = {
        name: choose_features(file, _own_outcomes(file, outcomes, tasks, wanted), interview)
        for name, file in files.items()
        if file.survey is not None
    }
    interview.finish()
    assert outcomes is not None
    findings = _read(files, choices, wanted, catalog)
    labelled = [task.name for task in tasks if not task.timed]
    kinds = {task.name: task.kind for task in tasks}
    sentence, method = method_of(wanted.model, kinds, labelled, list(files), catalog)
    interview.say(f"model: {sentence}")
    title = ["A first recipe, written by hcat init: read it, then hcat inspect and hcat run it."]
    tables = [
        TableText("", [Line("seed", 0)]),
        TableText("cohort", [NAME, *([Line("groups", wanted.groups, GROUPS)] if wanted.groups else [])]),
        *(modality_table(file, choices.get(name), wanted) for name, file in files.items()),
        *_targets(outcomes, tasks, wanted),
        TableText(
            "split",
            [Line("validation", 0.15), Line("test", 0.15, "share of patients that are only scored")],
        ),
    ]
    text = render(title, tables) + "\n" + method_text(sentence, method)
    _refuse_problems(text, wanted.target, catalog)
    return FirstRecipe(text, (*interview.seen, *findings))


def _own_outcomes(
    file: CohortFile, outcomes: CohortFile | None, tasks: Sequence[TaskText], wanted: Wanted
) -> tuple[str, ...]:
    """Columns of a modality's file that are outcomes, or name the group."""
    if outcomes is None or file.path.resolve() != outcomes.path.resolve():
        return wanted.outcome_columns
    columns = [str(line.value) for task in tasks for line in task.lines if isinstance(line.value, str)]
    return (*columns, *wanted.outcome_columns)


def _targets(outcomes: CohortFile, tasks: Sequence[TaskText], wanted: Wanted) -> list[TableText]:
    lines = [Line("path", recipe_path(outcomes.path, wanted.target)), Line("use", outcomes.table["use"])]
    if "patient_id" in outcomes.table:
        lines.append(Line("patient_id", outcomes.table["patient_id"]))
    missing = list(dict.fromkeys(value for task in tasks for value in task.missing))
    if missing:
        lines.append(Line("missing", missing, "not known"))
    return [
        TableText("cohort.targets", lines),
        *(TableText(f"cohort.targets.tasks.{task.name}", task.lines) for task in tasks),
    ]


def _check_patients(
    files: Mapping[str, CohortFile], outcomes: CohortFile, wanted: Wanted, interview: Interview
) -> None:
    """Ask for the map of slides where no name of a folder's files is a patient of the outcomes."""
    if outcomes.survey is None:
        return
    patients = _normalised(outcomes)
    for name, file in files.items():
        if not file.path.is_dir() or "slide_map" in file.table:
            continue
        stems = {
            inner.name.split(".")[0] for inner in file.path.iterdir() if not inner.name.startswith(".")
        }
        if not stems & patients:
            text = f"no file of {file.path} is called like a patient of {outcomes.path.name}"
            text += f": a table of slides and patients, --slide-map {name}=FILE"
            interview.answer(None, Question("--slide-map", text))


def _normalised(file: CohortFile) -> set[str]:
    assert file.survey is not None
    ids = file.survey.patients
    known = ids[np.array([one is not None and one == one for one in ids], bool)]
    return {*IdNormaliser(file.reader.source).normalize(known), *map(str, known)}


def _read(
    files: Mapping[str, CohortFile], choices: Mapping[str, FeatureChoice], wanted: Wanted, catalog: Catalog
) -> list[str]:
    """Read every table as the recipe will, and return what its reader finds.

    Raises:
        DataError: with the faults of all tables.
    """
    findings, faults = [], []
    for name, choice in choices.items():
        file = files[name]
        reader = make_reader({**file.table, **choice.reader_keys}, file.path, wanted.target, catalog)
        try:
            findings += [text for table in reader.read() for text in table.findings]
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError("\n".join(dict.fromkeys(faults)))
    return [f"to look at: {text}" for text in dict.fromkeys(findings)]


def _refuse_problems(text: str, target: Path, catalog: Catalog) -> None:
    """Check the recipe as a run would.

    Raises:
        RecipeError: with its problems.
    """
    tree = parse_toml(text)
    if isinstance(tree, Problem):
        raise RecipeError(str(target), [tree])
    _, problems = check_recipe(tree, catalog, target, Path.cwd())
    if problems:
        raise RecipeError(f"the recipe that hcat init would write to {target}", problems)
