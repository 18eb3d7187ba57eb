"""Which column of a table is what: ids, features, weight, quality; and which are left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from hcat_builtin.readers.tables.cells import repeated
from hcat_core.errors import DataError
from hcat_core.reading import COUNT_COLUMN, QUALITY_COLUMN
from hcat_core.text.spelling import did_you_mean

ID_COLUMNS = ("patient_id", "patient_ids", "patient", "pid", "case_id", "id")
NAMELESS = re.compile(r"Unnamed: \d+|__index_level_\d+__")  # as pandas names them in CSV and in Parquet
_NUMBER = re.compile(r"[+-]?[\d.,]+")
LISTED = 40


@dataclass(frozen=True)
class Choices:
    """The columns that a recipe names, as ``TableReader`` has them."""

    patient_id: str | None
    columns: tuple[str, ...] | None
    one_hot: tuple[str, ...]
    drop: tuple[str, ...]
    weight: str | None
    quality: str | None


@dataclass(frozen=True)
class Roles:
    """What the columns of a file are.

    Attributes:
        ids: the column of patient ids.
        features: columns of numbers and of categories, in their order.
        one_hot: those of categories.
        weight: the column of row weights.
        quality: the column of quality scores.
        n_rows: the column of row counts.
        left_out: columns that are no features of the trained run.
    """

    ids: str
    features: tuple[str, ...]
    one_hot: tuple[str, ...]
    weight: str | None
    quality: str | None
    n_rows: str | None
    left_out: tuple[str, ...] = ()


def roles_of(names: Sequence[str], choices: Choices, trained: Sequence[str] | None, source: str) -> Roles:
    """Find out what each column is.

    Args:
        names: of the columns of a file.
        choices: of the recipe.
        trained: names of the features of a trained run, or None.
        source: the file, for messages.

    Raises:
        DataError: for columns that do not exist, that have no name or the name of another one, and where no
            feature is left.
    """
    choices = _with_patterns(choices, names, trained, source)
    ids = id_column(names, choices.patient_id, source)
    optional = () if trained is not None else (*choices.drop, *choices.one_hot, *(choices.columns or ()))
    require((*optional, *(name for name in (choices.weight, choices.quality) if name)), names, source)
    quality = choices.quality or (QUALITY_COLUMN if QUALITY_COLUMN in names else None)
    n_rows = COUNT_COLUMN if COUNT_COLUMN in names else None
    others = {ids, *choices.drop, choices.weight, quality, COUNT_COLUMN}
    chosen = dict.fromkeys(name for name in (choices.columns or names) if name not in others)
    left_out: tuple[str, ...] = ()
    if trained is not None:
        features, present = set(trained), set(names)
        known = {name for name in chosen if name in features or _categories(name, choices, trained)}
        left_out = tuple(name for name in chosen if name in present and name not in known)
        chosen = {name: None for name in chosen if name in present and name in known}
    if not chosen:
        raise DataError(f"{source}: no column remains as a feature.{_why_none(trained)}")
    if trained is None:
        _refuse_equal_features(chosen, choices.one_hot, source)
        if choices.columns is None:
            _refuse_nameless(chosen, names, source)
    used = [ids, *chosen, *(name for name in (choices.weight, quality, n_rows) if name)]
    refuse_repeated(names, used, source)
    one_hot = tuple(name for name in chosen if name in choices.one_hot)
    return Roles(ids, tuple(chosen), one_hot, choices.weight, quality, n_rows, left_out)


def _with_patterns(
    choices: Choices, names: Sequence[str], trained: Sequence[str] | None, source: str
) -> Choices:
    """The choices, with every pattern (``*_rnaseq``) of features and columns to drop as the names that fit.

    Raises:
        DataError: for a pattern that fits no column, if no run is trained on the file's features.
    """
    known = set(names)

    def fitting(pattern: str) -> list[str]:
        if pattern in known or "*" not in pattern:
            return [pattern]
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found and trained is None:
            raise DataError(
                f"{source}: no column has a name like {pattern}. Its columns: {', '.join(names[:LISTED])}."
            )
        return found

    columns, drop = (
        None if given is None else tuple(name for one in given for name in fitting(one))
        for given in (choices.columns, choices.drop)
    )
    return replace(choices, columns=columns, drop=drop or ())


def categories_of_run(column: str, trained: Sequence[str]) -> list[str]:
    """The categories that a trained run has of a column."""
    return [feature[len(column) + 1 :] for feature in trained if feature.startswith(f"{column}=")]


def id_column(names: Sequence[str], given: str | None, source: str) -> str:
    """The column of patient ids: the one that the recipe names, or one with a usual name.

    Raises:
        DataError: for a file without it, or with two of this name.
    """
    if given is not None:
        require((given,), names, source)
    ids = given or next((name for name in ID_COLUMNS if name in names), None)
    if ids is None:
        data = sum(_NUMBER.fullmatch(name) is not None for name in names)
        hint = (
            " Most of these are numbers: does the file lack its header?" if 2 * data >= len(names) else ""
        )
        raise DataError(
            f"{source}: no column of patient ids among {', '.join(names[:20])}. "
            f"Looked for {', '.join(ID_COLUMNS)}. Name yours: patient_id = ...{hint}"
        )
    refuse_repeated(names, [ids], source)
    return ids


def require(wanted: Sequence[str], names: Sequence[str], source: str) -> None:
    """Refuse names of columns that a file lacks, all at once.

    Raises:
        DataError: with the nearest name for each, and the columns that the file has.
    """
    known = set(names)
    lacking = list(dict.fromkeys(name for name in wanted if name not in known))
    if not lacking:
        return
    each = " ".join(f'has no column "{name}".{did_you_mean(name, names)}' for name in lacking)
    raise DataError(f"{source}: {each} Its columns: {', '.join(names[:LISTED])}.")


def refuse_repeated(names: Sequence[str], used: Sequence[str], source: str) -> None:
    """Refuse names, of the columns that are used, that several columns have.

    Raises:
        DataError: naming all of them and the numbers of their columns.
    """
    wanted = set(used)
    twice = {name: places for name, places in repeated(names).items() if name in wanted}
    if not twice:
        return
    each = "; ".join(
        f'columns {", ".join(map(str, places))} are called "{name}"'
        for name, places in list(twice.items())[:5]
    )
    more = f", and {len(twice) - 5} more names" if len(twice) > 5 else ""
    raise DataError(
        f"{source}: {each}{more}. Give every column a name of its own, or leave them out by drop."
    )


def _categories(name: str, choices: Choices, trained: Sequence[str]) -> bool:
    return name in choices.one_hot and bool(categories_of_run(name, trained))


def _why_none(trained: Sequence[str] | None) -> str:
    if trained is None:
        return " Shorten drop or lengthen columns."
    return f" It has none of the columns of the trained run: {', '.join(trained[:LISTED])}."


def _refuse_equal_features(
    chosen: Sequence[str] | dict[str, None], one_hot: Sequence[str], source: str
) -> None:
    """Refuse a column that is called like a category of another one, now or in a later file."""
    for column in one_hot:
        other = next((name for name in chosen if name.startswith(f"{column}=")), None)
        if other is not None and column in chosen:
            raise DataError(
                f"{source}: the column {other} is called like a category of the column {column}. Rename "
                "one, or leave one out by drop."
            )


def _refuse_nameless(chosen: Sequence[str] | dict[str, None], names: Sequence[str], source: str) -> None:
    nameless = [name for name in chosen if NAMELESS.fullmatch(name)]
    if not nameless:
        return
    places = ", ".join(str(names.index(name) + 1) for name in nameless[:10])
    which = f"column {places} has" if len(nameless) == 1 else f"columns {places} have"
    listed = ", ".join(f'"{name}"' for name in nameless[:10])
    raise DataError(
        f"{source}: {which} no name. Name it in the file, or leave it out if it is empty or only numbers "
        f"the rows, as pandas writes them: drop = [{listed}]."
    )
