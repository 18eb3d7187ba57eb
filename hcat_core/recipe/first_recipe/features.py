"""The table of a modality: which columns are features, which are categories, which are left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hcat_core.data.follow_up_names import is_follow_up
from hcat_core.reading import ColumnSurvey
from hcat_core.recipe.first_recipe.document import Line, Noted, TableText
from hcat_core.recipe.first_recipe.files import CohortFile, recipe_path
from hcat_core.recipe.first_recipe.questions import Interview
from hcat_core.recipe.first_recipe.wanted import Wanted
from hcat_core.recipe.first_recipe.words import unknown_words
from hcat_core.text.counted import counted

MOST_CATEGORIES = 20
SHOWN = 6
NAMELESS = "Unnamed: "


@dataclass(frozen=True)
class FeatureChoice:
    """What a recipe says of a table's columns.

    Attributes:
        one_hot: columns of categories, with these.
        drop: columns that are left out, with the reason.
        missing: words that mean "not measured".
        codes: numbers that may mean so, with their columns.
        coded: columns of whole numbers that may be codes of categories.
    """

    one_hot: tuple[Noted, ...]
    drop: tuple[Noted, ...]
    missing: tuple[str, ...]
    codes: Mapping[str, tuple[str, ...]]
    coded: tuple[str, ...]

    @property
    def reader_keys(self) -> dict[str, list[str]]:
        """The keys of the reader's table."""
        keys = {
            "one_hot": [one.value for one in self.one_hot],
            "drop": [one.value for one in self.drop],
            "missing": list(self.missing),
        }
        return {key: values for key, values in keys.items() if values}


def choose_features(file: CohortFile, outcomes: Iterable[str], interview: Interview) -> FeatureChoice:
    """Decide what each column of a table is.

    Args:
        file: with a survey.
        outcomes: columns of outcomes and sites in the same file.
        interview: for reports.
    """
    assert file.survey is not None
    named = frozenset(outcomes)
    one_hot, drop, coded = [], [], []
    words: dict[str, None] = {}
    codes: dict[str, list[str]] = {}
    rows = len(file.survey.patients)
    for column in file.survey.columns:
        reason = _why_dropped(column, named, rows)
        if reason is not None:
            drop.append(Noted(column.name, reason))
            continue
        words.update(dict.fromkeys(unknown_words(column.words or column.values)))
        if column.cells == "text" or (column.cells == "mixed" and set(column.words) - set(words)):
            one_hot.append(Noted(column.name, _listed(column.values)))
        elif column.cells == "numbers" and 3 <= column.distinct <= MOST_CATEGORIES and not column.codes:
            coded.append(column.name)
        for code in column.codes:
            codes.setdefault(code, []).append(column.name)
    left = len(file.survey.columns) - len(drop)
    if not left:
        interview.refuse(
            f"--input {file.name}=...", f"{file.path.name} has no column that can be a feature"
        )
    interview.say(_summary(file, left, one_hot, drop))
    found = {code: tuple(names) for code, names in codes.items()}
    return FeatureChoice(tuple(one_hot), tuple(drop), tuple(words), found, tuple(coded))


def modality_table(file: CohortFile, choice: FeatureChoice | None, wanted: Wanted) -> TableText:
    """The recipe's table of a modality."""
    lines = [Line("path", recipe_path(file.path, wanted.target))]
    lines += [Line(key, value) for key, value in file.table.items() if key not in ("use",)]
    lines.insert(1, Line("use", file.table["use"]))
    if choice is not None:
        if choice.one_hot:
            lines.append(Line("one_hot", choice.one_hot, "text: one feature for each category"))
        if choice.drop:
            lines.append(Line("drop", choice.drop, "columns that are no features"))
        if choice.missing:
            lines.append(Line("missing", list(choice.missing), "words that mean not measured"))
        if choice.codes:
            where = "; ".join(f"{code} in {_names(names)}" for code, names in choice.codes.items())
            both = [*choice.missing, *choice.codes]
            note = f"if these mean not measured: {where}"
            lines.append(Line("missing", both, note, active=False))
        if choice.coded:
            text = [*(one.value for one in choice.one_hot), *choice.coded]
            note = f"if the numbers in {_names(choice.coded)} are codes of categories"
            lines.append(Line("one_hot", text, note, active=False))
    return TableText(f"cohort.modalities.{file.name}", lines)


def _why_dropped(column: ColumnSurvey, outcomes: frozenset[str], rows: int) -> str | None:
    if column.name in outcomes:
        return "named as outcome or group"
    if is_follow_up(column.name):
        return "the name says follow-up: it would give the outcome away"
    if column.name.startswith(NAMELESS):
        return "has no name"
    if column.cells == "repeated":
        return "several columns have this name"
    if column.cells == "empty":
        return "is empty"
    if column.cells == "dates":
        return "dates: compute an age or a duration from them"
    if column.cells in ("text", "mixed") and set(column.values) == set(unknown_words(column.values)):
        if column.values:
            return f"nothing but {_listed(column.values)}"
    others = len(set(column.words) - set(unknown_words(column.words)))
    if column.cells == "mixed" and not others:
        return None
    many = column.distinct > MOST_CATEGORIES or 2 * column.distinct > max(rows, 2)
    if column.cells == "text" and many:
        return f"text with {column.distinct} different values"
    if column.cells == "mixed" and many:
        return f"words among numbers: {_listed(column.words)}"
    return None


def _summary(file: CohortFile, left: int, one_hot: list[Noted], drop: list[Noted]) -> str:
    text = f"{file.name}: {file.path.name}: {counted(left, 'column')} of features"
    if one_hot:
        text += f", of them categories: {_names([one.value for one in one_hot])}"
    if drop:
        reasons = ", ".join(f"{one.value} ({one.note})" for one in drop[:SHOWN])
        more = f" and {len(drop) - SHOWN} more" if len(drop) > SHOWN else ""
        text += f"; left out: {reasons}{more}"
    return text


def _listed(values: Mapping[str, int]) -> str:
    some = ", ".join(f"{value} ({count})" for value, count in list(values.items())[:SHOWN])
    return some + (f" and {len(values) - SHOWN} more" if len(values) > SHOWN else "")


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")
