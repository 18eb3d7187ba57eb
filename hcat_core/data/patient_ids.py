"""Normalise patient ids, so that files of different programs match, and refuse ids that collide."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from hcat_core.errors import DataError
from hcat_core.text.file_rows import Line, named_row, no_line
from hcat_core.text.quoting import one_line

_INTEGRAL = re.compile(r"([0-9]+)(?:\.0+)?")
_SHORTENED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+")
# Lines that normalize_pid does not change: printable ASCII, neither padded nor a word for "no value".
_PLAIN = re.compile(
    r"(?:(?!0|[0-9]+\.0+\n|[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+\n|(?i:nan|none|<na>)\n)[!-~]++\n)*+"
)


def normalize_pid(raw: object) -> str:
    """Normalise a patient id: NFKC text without outer blanks, whole numbers without padding.

    ``b"001"``, ``"1"``, ``1`` and ``1.0`` are the same patient in files from different programs. Letters,
    their case and punctuation are not changed.

    Raises:
        ValueError: for an empty id, NaN, undecodable bytes, control characters or another type; for a
            floating-point number so large that its type does not hold its neighbours, and for a number that
            a spreadsheet shortened (``1.23E+11``).
    """
    if isinstance(raw, float | np.floating):
        dtype = np.dtype(type(raw))
        if math.isfinite(raw) and abs(float(raw)) >= _first_ambiguous(dtype):
            raise ValueError(_ambiguous(dtype))
    if isinstance(raw, np.generic):
        raw = raw.item()
    if isinstance(raw, bytes):
        raw = raw.decode("utf-8")
    if isinstance(raw, float):
        if not raw.is_integer():
            raise ValueError(f"{raw!r} is not a patient id")
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise ValueError(f"{raw!r} is not a patient id")
    text = unicodedata.normalize("NFKC", str(raw)).strip(" \t\r\n\x00")
    if not text or text.lower() in ("nan", "none", "<na>"):
        raise ValueError(f"{raw!r} is not a patient id")
    if not text.isprintable():
        raise ValueError(f"{raw!r} holds a control character")
    if _SHORTENED.fullmatch(text):
        raise ValueError(f"{raw!r} is a number that a spreadsheet shortened, not a patient id")
    return without_padding(text)


def without_padding(text: str) -> str:
    """The text, of a whole number without zeros in front and decimals: ``001`` and ``1.0`` are ``1``."""
    whole = _INTEGRAL.fullmatch(text)
    return (whole[1].lstrip("0") or "0") if whole else text


def refuse_ambiguous(raw: np.ndarray, source: str, first_row: int = 0, line: Line = no_line) -> None:
    """Refuse ids of which two different ones may be stored as one and the same.

    A floating-point type holds every whole number below a limit (2,048 in 16 bits, 16,777,216 in 32,
    9,007,199,254,740,992 in 64), and not every one beyond. True equals 1.

    Args:
        raw: (R,) ids as a file has them, in its type.
        source: the file, for messages.
        first_row: the first one's row in the file.
        line: of a row in the file, for messages.

    Raises:
        DataError: naming the first row.
    """
    if raw.dtype.kind == "f":
        limit = _first_ambiguous(raw.dtype)
        large = (np.abs(raw) >= limit) & np.isfinite(raw)
        if large.any():
            place = named_row(first_row + int(large.argmax()), line)
            raise DataError(
                f"{source}: {place}: {_ambiguous(raw.dtype)}. Store ids as whole numbers or as text."
            )
    if raw.dtype.kind == "O" and raw.strides != (0,):
        ambiguous = tuple(kind for kind in set(map(type, raw.tolist())) if _no_id(kind))
        if ambiguous:
            row = next(row for row, one in enumerate(raw) if isinstance(one, ambiguous))
            place = named_row(first_row + row, line)
            raise DataError(
                f"{source}: {place}: {one_line(str(raw[row]), 60)} is not a patient id. Give every row a "
                "patient id."
            )


def _no_id(kind: type) -> bool:
    """Whether values of a type cannot be told apart: True equals 1, and lists have no hash."""
    return issubclass(kind, bool | np.bool_) or kind.__hash__ is None


def _first_ambiguous(dtype: np.dtype) -> float:
    """The first whole number whose neighbour a floating-point type does not hold."""
    return 2 / float(np.finfo(dtype).eps)


def _ambiguous(dtype: np.dtype) -> str:
    return (
        f"patient ids are stored as {dtype.name}, which does not hold every number from "
        f"{_first_ambiguous(dtype):,.0f} on: several patients may have become one"
    )


class IdNormaliser:
    """Normalises the ids of one file, and refuses two spellings of one id.

    ``"A12"`` and ``"B12"`` stay two patients; ``"7"`` and ``"007"`` in the same file would become
    one, which only the file's owner can confirm, so reading stops with both spellings.
    """

    def __init__(self, source: str, line: Line = no_line) -> None:
        self.source = source
        self.line = line
        self._unchanged: set[str] = set()  # ids that stand in the file as they are
        self._spelling: dict[str, str] = {}  # of all others
        self._respelt: set[str] = set()  # ids that stand otherwise in the file
        self._known: dict[object, str] = {}
        self._deferred: list[np.ndarray] = []

    def normalize(self, raw_ids: Iterable[object], rows: Sequence[int] | None = None) -> list[str]:
        """Normalise a chunk of ids, and remember their spellings.

        Args:
            raw_ids: ids as the file has them.
            rows: their rows in the file, for messages; 0, 1, ... if None.

        Raises:
            DataError: for an invalid id (with its row), or two spellings of one id.
        """
        if isinstance(raw_ids, np.ndarray):
            refuse_ambiguous(raw_ids, self.source, line=self.line)
        deferred, self._deferred = self._deferred, []
        for known in deferred:
            self._learn(known.tolist(), None)
        return self._learn(list(raw_ids), rows)

    def respelt(self) -> dict[str, str]:
        """The spellings in the file of the ids that normalisation changed."""
        return {known: self._spelling[known] for known in self._respelt}

    def defer_check(self, raw_ids: np.ndarray) -> None:
        """Add ids that are known to be valid; they are compared with others only if others follow."""
        self._deferred.append(raw_ids)

    def _learn(self, raw_ids: list[object], rows: Sequence[int] | None) -> list[str]:
        plain = _plain(raw_ids)
        if plain is not None and self._respelt.isdisjoint(plain):
            self._unchanged.update(plain)
            return plain
        ids: list[str] = []
        for place, raw in enumerate(raw_ids):
            known = self._known.get(raw)
            if known is None:
                try:
                    known = normalize_pid(raw)
                except ValueError as error:
                    where = named_row(place if rows is None else rows[place], self.line)
                    raise DataError(
                        f"{self.source}: {where}: {error}. Give every row a patient id."
                    ) from None
                text = raw.decode("utf-8") if isinstance(raw, bytes) else str(raw)
                text = text.strip(" \t\r\n\x00")
                first = known if known in self._unchanged else self._spelling.setdefault(known, text)
                if first != text:
                    raise DataError(
                        f"{self.source}: patient ids {first!r} and {text!r} would both become "
                        f"{known!r}. Spell one patient one way, or give two patients different ids."
                    )
                self._known[raw] = known
                if text != known:
                    self._respelt.add(known)
            ids.append(known)
        return ids


def _plain(raw_ids: list[object]) -> list[str] | None:
    """The ids as text if all of them are normalised already, else None; checks all at once."""
    try:
        if isinstance(raw_ids[0], bytes):
            text = b"\n".join(raw_ids).decode("ascii")  # type: ignore[arg-type]
        else:
            text = "\n".join(raw_ids)  # type: ignore[arg-type]
    except (IndexError, TypeError, UnicodeDecodeError):
        return None
    ids = text.split("\n")
    return ids if len(ids) == len(raw_ids) and _PLAIN.fullmatch(text + "\n") else None


def refuse_case_twins(ids_by_source: Mapping[str, Iterable[str]]) -> None:
    """Stop if two ids of a cohort differ only in upper and lower case.

    Raises:
        DataError: with both spellings and their files.
    """
    if not _may_differ_in_case(ids_by_source.values()):
        return
    seen: dict[str, tuple[str, str]] = {}
    for source, ids in ids_by_source.items():
        for patient in ids:
            first, where = seen.setdefault(patient.casefold(), (patient, source))
            if first != patient:
                raise DataError(
                    f"patient ids {first!r} ({where}) and {patient!r} ({source}) differ only in "
                    "upper and lower case. Spell one patient one way in every file."
                )


def _may_differ_in_case(groups: Iterable[Iterable[str]]) -> bool:
    """Whether any ids may become equal without case; checks all at once."""
    ids = set().union(*groups)
    return bool(ids) and len(set("\n".join(ids).casefold().split("\n"))) < len(ids)
