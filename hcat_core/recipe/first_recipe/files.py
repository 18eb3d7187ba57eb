"""The files of a cohort, opened by their readers and surveyed where they have named columns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hcat_core.data.follow_up_names import plain_name
from hcat_core.errors import DataError
from hcat_core.reading import FileSurvey, Reader, SurveyingReader
from hcat_core.recipe.component_tables import check_component, construct
from hcat_core.recipe.file_readers import HDF5, READERS, reader_of
from hcat_core.recipe.first_recipe.questions import Interview, Question
from hcat_core.recipe.first_recipe.wanted import Wanted
from hcat_core.registry.catalog import Catalog

ID_NAMES = frozenset(
    "patient_id patient_ids patientid patient pid case_id caseid case case_submitter_id submitter_id"
    " bcr_patient_barcode subject_id subject subjectid mrn id".split()
)
"""Plain names of columns of ids, in any spelling; readers know some of them in one spelling."""

OUTCOMES = "outcomes"


@dataclass(frozen=True)
class CohortFile:
    """A file or folder, its reader's table, the reader, and its columns where it has names.

    Attributes:
        name: of the modality; ``outcomes`` for the file of outcomes.
        path: of the file.
        table: of its reader, with ``use`` where the ending does not name it; without ``path``.
        reader: with this table.
        survey: of its columns; None for a file of embeddings.
    """

    name: str
    path: Path
    table: Mapping[str, Any]
    reader: Reader
    survey: FileSurvey | None


def open_files(wanted: Wanted, catalog: Catalog, interview: Interview) -> dict[str, CohortFile]:
    """Open every modality, by name; those that cannot be opened are missing, with a question.

    Raises:
        DataError: for all files that cannot be read.
    """
    if not wanted.inputs:
        interview.refuse("--input", "at least one modality: --input NAME=FILE")
    return _opened({name: path for name, path in wanted.inputs.items()}, wanted, catalog, interview)


def open_outcomes(
    wanted: Wanted, files: Mapping[str, CohortFile], catalog: Catalog, interview: Interview
) -> CohortFile | None:
    """The file of outcomes: the one that the user names, or the only one with the columns."""
    path = wanted.outcomes
    if path is None:
        named = wanted.outcome_columns
        having = [
            one for one in files.values() if one.survey is not None and named and _has(one.survey, named)
        ]
        if len({one.path for one in having}) == 1:
            interview.say(f"outcomes: in {having[0].path.name}, which has {', '.join(named)}")
            path = having[0].path
        else:
            likely = tuple(dict.fromkeys(str(one.path) for one in having))
            answer = interview.answer(None, Question("--outcomes", "the file of outcomes", likely))
            path = None if answer is None else Path(answer)
    if path is None:
        return None
    return _opened({OUTCOMES: path}, wanted, catalog, interview).get(OUTCOMES)


def recipe_path(path: Path, target: Path) -> str:
    """A path as the recipe has it: relative to its folder, unless both have only the root in common."""
    folder, whole = target.absolute().parent, path.absolute()
    try:
        common = os.path.commonpath([folder, whole])
    except ValueError:  # on two drives
        return str(whole)
    if common == folder.anchor:
        return str(whole)
    return Path(os.path.relpath(whole, folder)).as_posix()


def _has(survey: FileSurvey, names: tuple[str, ...]) -> bool:
    return set(names) <= set(survey.names)


def _opened(
    paths: Mapping[str, Path], wanted: Wanted, catalog: Catalog, interview: Interview
) -> dict[str, CohortFile]:
    files, faults = {}, []
    for name, path in paths.items():
        option = f"--{OUTCOMES}" if name == OUTCOMES else f"--input {name}=..."
        use = _reader_name(path)
        if not path.exists():
            interview.refuse(option, f"there is no file {path}")
        elif use is None:
            endings = ", ".join((*HDF5, *READERS))
            interview.refuse(option, f"no reader is known for {path.name}: of {endings} it is")
        else:
            try:
                file = _open(name, path, use, wanted, catalog, interview)
            except DataError as error:
                faults.append(str(error))
                continue
            if file is not None:
                files[name] = file
    if faults:
        raise DataError("\n".join(dict.fromkeys(faults)))
    return files


def _open(
    name: str, path: Path, use: str, wanted: Wanted, catalog: Catalog, interview: Interview
) -> CohortFile | None:
    table: dict[str, Any] = {"use": use}
    if use == "h5mu":
        table["modality"] = name
    if wanted.patient_id(name) is not None:
        table["patient_id"] = wanted.patient_id(name)
    slide_map = None if name == OUTCOMES else wanted.slide_map(name)
    if slide_map is not None and use in ("h5", "pt"):
        table["slide_map"] = recipe_path(slide_map, wanted.target)
    reader = make_reader(table, path, wanted.target, catalog)
    if not isinstance(reader, SurveyingReader):
        return CohortFile(name, path, table, reader, None)
    survey = reader.survey()
    if survey.ids is None:
        column = _id_column(name, path, survey, interview)
        if column is None:
            return None
        table["patient_id"] = column
        reader = make_reader(table, path, wanted.target, catalog)
        assert isinstance(reader, SurveyingReader)
        survey = reader.survey()
    return CohortFile(name, path, table, reader, survey)


def make_reader(table: Mapping[str, Any], path: Path, target: Path, catalog: Catalog) -> Reader:
    """The reader of a file with the table that the recipe gives it.

    Raises:
        DataError: for keys that the reader refuses.
    """
    checked = check_component(catalog, "reader", {**table, "path": str(path.absolute())}, "reader")
    if checked.table is None:
        raise DataError("; ".join(f"{path}: {problem.message}" for problem in checked.problems))
    reader: Reader = construct(catalog, "reader", checked.table, (), target.absolute().parent)
    return reader


def _id_column(name: str, path: Path, survey: FileSurvey, interview: Interview) -> str | None:
    likely = [column for column in survey.names if plain_name(column) in ID_NAMES]
    if len(likely) == 1:
        interview.say(f"{name}: ids are in the column {likely[0]} of {path.name}")
        return likely[0]
    text = f"the column of patient ids in {path.name}: --patient-id {name}=COLUMN"
    return interview.answer(None, Question("--patient-id", text, tuple(likely or survey.names[:4])))


def _reader_name(path: Path) -> str | None:
    """The reader by the ending; that of a folder by the endings of the files in it."""
    if not path.is_dir():
        return reader_of(path)
    readers = {reader_of(inner) for inner in path.iterdir() if not inner.name.startswith(".")}
    readers &= {"h5", "pt"}
    return readers.pop() if len(readers) == 1 else None
