"""Names of groups and classes as a file has them: two spellings of one stop the reading."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence

from hcat_core.data.columns import read_patient_columns
from hcat_core.data.patient_ids import without_padding
from hcat_core.errors import DataError
from hcat_core.reading import Reader
from hcat_core.text.quoting import shown


def group_names(
    reader: Reader, name: str, patient_ids: Iterable[str], missing: Sequence[str | float] = ()
) -> list[str | None]:
    """The group of each patient, from a column of a file, in the order of ``patient_ids``.

    Args:
        reader: of the file.
        name: of the column.
        patient_ids: N normalised ids.
        missing: what stands for an empty cell.

    Returns:
        N names as the file has them, without outer blanks; None for an empty cell, and for a patient that
        the file lacks.

    Raises:
        DataError: as ``read_patient_columns``; for two names that may be one: whole numbers of which one
            has zeros in front or decimals behind (01, 1 and 1.0), and names that differ in case alone.
    """
    ids, texts = _as_text(reader, name, missing)
    _refuse_twins(reader.source, name, texts, str.casefold)
    group = dict(zip(ids, texts, strict=True))
    return [group.get(patient) for patient in patient_ids]


def refuse_two_spellings(reader: Reader, name: str, missing: Sequence[str | float] = ()) -> None:
    """Refuse a column in which two numbers may be one name: 01, 1 and 1.0.

    Args:
        reader: of the file.
        name: of the column.
        missing: what stands for an empty cell.

    Raises:
        DataError: with both spellings; as ``read_patient_columns``.
    """
    _refuse_twins(reader.source, name, _as_text(reader, name, missing)[1], str)


def _as_text(
    reader: Reader, name: str, missing: Sequence[str | float]
) -> tuple[tuple[str, ...], list[str | None]]:
    """The ids of a file, and the cell of each in a column."""
    table = read_patient_columns(reader, [name], missing, as_text=True)
    return table.ids, [None if value is None else str(value) for value in table.columns[name].values]


def _refuse_twins(source: str, name: str, texts: Sequence[str | None], key: Callable[[str], str]) -> None:
    """Refuse texts that are the same but for the padding of numbers, and what ``key`` takes away."""
    seen: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        if text is None:
            continue
        first = seen.setdefault(key(without_padding(unicodedata.normalize("NFKC", text))), text)
        if first != text:
            raise DataError(
                f"{source}: column {name} holds {shown(first)} and {shown(text)}, which may be one and the "
                "same. Write one name one way, or give two names different letters."
            )
