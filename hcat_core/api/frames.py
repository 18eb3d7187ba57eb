"""Readers of DataFrames, and the recipe tables that would read the same from files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import pandas as pd

from hcat_core.errors import DataError, UsageError
from hcat_core.reading import Reader
from hcat_core.registry.catalog import Catalog
from hcat_core.text.spelling import did_you_mean

T = TypeVar("T")
TABLE_KEYS = ("patient_id", "columns", "one_hot", "drop", "weight", "quality", "missing")
"""The keys of the reader ``table`` that mean the same for a DataFrame."""

PerModality = Mapping[str, Sequence[str]] | Sequence[str] | None
"""Names of columns by modality, or for every modality that has them."""


class FrameReaders(Protocol):
    """What the component ``frame`` has."""

    def keys(self, frame: pd.DataFrame, source: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The keys of the reader ``table`` that read a frame: those given, and what its columns decide."""
        ...

    def of(self, frame: pd.DataFrame, source: str, keys: Mapping[str, Any]) -> Reader:
        """The reader of a frame."""
        ...


@dataclass(frozen=True)
class ReadFrame:
    """A reader of a DataFrame, and the table of a recipe that reads the same from a file."""

    reader: Reader
    table: Mapping[str, Any]


@dataclass(frozen=True)
class FrameOptions:
    """How DataFrames are read: ``drop``, ``one_hot``, ``missing`` by modality or for all; ids by column."""

    patient_id: str | None = None
    drop: PerModality = None
    one_hot: PerModality = None
    missing: PerModality = None

    def keys_of(self, name: str, frame: pd.DataFrame) -> dict[str, Any]:
        """The keys of one modality."""
        keys: dict[str, Any] = {"patient_id": self.patient_id}
        columns = {str(column).strip() for column in frame.columns}
        for key in ("drop", "one_hot"):
            value = getattr(self, key)
            if isinstance(value, Mapping):
                keys |= {key: list(value[name])} if name in value else {}
            elif value is not None:
                here = [column for column in value if column in columns or "*" in column]
                keys |= {key: here} if here or key == "one_hot" else {}
        missing = self.missing.get(name) if isinstance(self.missing, Mapping) else self.missing
        keys["missing"] = None if missing is None else [str(word) for word in missing]
        return {key: value for key, value in keys.items() if value is not None}

    def refuse_unknown(self, frames: Mapping[str, pd.DataFrame]) -> None:
        """Refuse modalities and columns that no frame has.

        Raises:
            UsageError: naming all of them.
        """
        wrong = []
        columns = {str(column).strip() for frame in frames.values() for column in frame.columns}
        for key in ("drop", "one_hot", "missing"):
            value = getattr(self, key)
            if isinstance(value, str):
                wrong.append(f"{key}: a list is needed, [{value!r}].")
            elif isinstance(value, Mapping):
                wrong += [
                    f"{key}: no modality is named {name!r}.{did_you_mean(name, frames)}"
                    for name in value
                    if name not in frames
                ]
            elif key != "missing":
                wrong += [
                    f"{key}: no frame has a column {name!r}.{did_you_mean(name, columns)}"
                    for name in value or ()
                    if name not in columns and "*" not in name
                ]
        if wrong:
            raise UsageError("\n".join(wrong))


def read_frames(
    frames: Mapping[str, pd.DataFrame], options: FrameOptions, catalog: Catalog
) -> dict[str, ReadFrame]:
    """Readers of the frames of all modalities.

    Raises:
        UsageError: for what is no mapping of frames, and for options that name what no frame has.
        DataError: with what is wrong with the columns of each frame.
    """
    refuse_other_than_frames(frames)
    options.refuse_unknown(frames)
    component = frame_component(catalog)

    def read(name: str) -> ReadFrame:
        keys = component.keys(frames[name], source_of(name), options.keys_of(name, frames[name]))
        reader = component.of(frames[name], source_of(name), keys)
        return ReadFrame(reader, {"use": "table", "path": f"{name}.csv", **keys})

    return each_of(frames, read)


def read_outcomes(frame: pd.DataFrame, patient_id: str | None, catalog: Catalog) -> ReadFrame:
    """The reader of the outcomes of ``patient_id``, or of a usual name.

    Raises:
        DataError: for a frame without ids.
    """
    component = frame_component(catalog)
    given = {"one_hot": [], **({} if patient_id is None else {"patient_id": patient_id})}
    keys = component.keys(frame, source_of("outcomes"), given)
    reader = component.of(frame, source_of("outcomes"), keys)
    return ReadFrame(reader, {"use": "table", "path": "outcomes.csv", **keys})


def frame_component(catalog: Catalog) -> FrameReaders:
    """The component that reads DataFrames."""
    return cast(FrameReaders, catalog.find("reader", "frame").load())


def source_of(name: str) -> str:
    """What messages call the frame of a modality, or of the outcomes."""
    return f"{name} (DataFrame)"


def refuse_other_than_frames(frames: object) -> None:
    """Refuse what is no mapping from names of modalities to DataFrames.

    Raises:
        UsageError: saying what was given.
    """
    example = '{"rna": df, ...}'
    if not isinstance(frames, Mapping):
        raise UsageError(
            f"a dictionary of DataFrames by modality is needed, {example}; got {_type(frames)}."
        )
    if not frames:
        raise UsageError(f"no modality is given: {example} is needed.")
    others = [f"{n!r} is {_type(v)}" for n, v in frames.items() if not isinstance(v, pd.DataFrame)]
    if others:
        raise UsageError(f"every modality is a DataFrame, {example}; {', '.join(others)}.")


def each_of(names: Iterable[str], read: Callable[[str], T]) -> dict[str, T]:
    """What ``read`` gives for each name; the faults of all are reported together.

    Raises:
        DataError: with all faults.
    """
    values: dict[str, T] = {}
    faults = []
    for name in names:
        try:
            values[name] = read(name)
        except DataError as error:
            faults.append(str(error))
    if faults:
        raise DataError("\n".join(faults))
    return values


def _type(value: object) -> str:
    return type(value).__name__
