"""Patient identifiers: one spelling for every file, and no two patients under one (SCIENCE trap 8)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from hcat_core.errors import DataError

_INTEGRAL = re.compile(r"([0-9]+)(?:\.0+)?")
# Lines that normalize_pid would leave as they are: printable ASCII, neither padded nor "no value".
_PLAIN = re.compile(r"(?:(?!0|[0-9]+\.0+\n|(?i:nan|none|<na>)\n)[!-~]++\n)*+")


def normalize_pid(raw: object) -> str:
    """The one spelling of a patient id: text, NFKC, no outer blanks, whole numbers without padding.

    ``b"001"``, ``"1"``, ``1`` and ``1.0`` are the same patient in files from different programs.
    Everything else is kept as it is: letters, their case, and punctuation tell patients apart.

    Raises:
        ValueError: for an empty id, NaN, undecodable bytes, control characters or something that is no id.
    """
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
    whole = _INTEGRAL.fullmatch(text)
    return (whole[1].lstrip("0") or "0") if whole else text


class IdNormaliser:
    """The raw spellings seen for each normalised id of one file; refuses two for one patient.

    ``"A12"`` and ``"B12"`` stay two patients; ``"7"`` and ``"007"`` in the same file would become
    one, which only the file's owner can confirm, so reading stops with both spellings.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._unchanged: set[str] = set()  # ids that stand in the file as they are
        self._spelling: dict[str, str] = {}  # of all others
        self._respelt: set[str] = set()  # ids that stand otherwise in the file
        self._known: dict[object, str] = {}
        self._deferred: list[np.ndarray] = []

    def normalize(self, raw_ids: Iterable[object], rows: Sequence[int] | None = None) -> list[str]:
        """Normalise one chunk of ids, remembering how each was spelt.

        Args:
            raw_ids: as the file gives them.
            rows: their rows in the file, for messages; 0, 1, ... when not given.

        Raises:
            DataError: for an id that is none (with its row) or two spellings of one id.
        """
        deferred, self._deferred = self._deferred, []
        for known in deferred:
            self._learn(known.tolist(), None)
        return self._learn(list(raw_ids), rows)

    def respelt(self) -> dict[str, str]:
        """How the file spells those ids that stand otherwise in it."""
        return {known: self._spelling[known] for known in self._respelt}

    def defer_check(self, raw_ids: np.ndarray) -> None:
        """Ids that are known to be fine among themselves: looked at when others follow, if any do."""
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
                    row = place if rows is None else rows[place]
                    raise DataError(
                        f"{self.source}: row {row}: {error}. Give every row a patient id."
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
    """The ids as text where all of them are normalised already, else None: one look at many."""
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
    """Stop when two ids of a cohort differ in nothing but upper and lower case.

    Raises:
        DataError: with both spellings and the files that hold them.
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
    """One look at all of them: no ids have become one, where case is taken away from all at once."""
    ids = set().union(*groups)
    return bool(ids) and len(set("\n".join(ids).casefold().split("\n"))) < len(ids)
