"""Widths and feature names in the files or groups of one modality, and which of them are the odd ones."""

from __future__ import annotations

from collections.abc import Iterator

from hcat_builtin.readers.slide_matching import named
from hcat_core.errors import DataError


class MemberWidths:
    """Collects width and feature names of each member (a slide's or a patient's file, group or tensor)."""

    def __init__(self) -> None:
        self._members: dict[int, list[str]] = {}
        self._first: tuple[str, tuple[str, ...]] | None = None  # member with names, and the names
        self._named_otherwise: dict[str, tuple[str, str]] = {}  # names in the same place, here and there

    @property
    def first(self) -> int:
        """The width of the first member; 0 before it."""
        return next(iter(self._members), 0)

    def add(self, member: str, width: int, features: tuple[str, ...] = ()) -> bool:
        """Take down one member's width and names; returns whether all members are alike so far.

        Args:
            member: its name.
            width: of its embedding.
            features: names of its columns, or () where it has none.
        """
        self._members.setdefault(width, []).append(member)
        if features and self._first is None:
            self._first = member, features
        elif features and self._first is not None and features != self._first[1]:
            pairs = zip(features, self._first[1], strict=False)
            self._named_otherwise[member] = next((p for p in pairs if p[0] != p[1]), ("", ""))
        return len(self._members) == 1 and not self._named_otherwise

    def refuse_mixed(self, source: str) -> None:
        """Refuse more than one width, or columns in different orders, after the last member.

        Args:
            source: the file or folder, for the message.

        Raises:
            DataError: with the members of each width but the most frequent one.
        """
        if len(self._members) > 1:
            raise DataError(
                f"{source}: embeddings of {', '.join(self._counts())} in one modality; one width is "
                "needed. Were they made by several encoders? Remove the odd ones, or encode them again."
            )
        if self._named_otherwise and self._first is not None:
            here, there = next(iter(self._named_otherwise.values()))
            odd = list(self._named_otherwise)
            raise DataError(
                f"{source}: {len(odd)} of {len(self._members[self.first])} files or groups ({named(odd)}) "
                f"have other feature_names than {self._first[0]}, or have them in another order: {here} "
                f"stands where that has {there}. Write the features of all in one order."
            )

    def _counts(self) -> Iterator[str]:
        frequent = max(self._members, key=lambda width: len(self._members[width]))
        for width, members in sorted(self._members.items(), key=lambda item: -len(item[1])):
            examples = "" if width == frequent else f": {named(members)}"
            yield f"{width} features ({len(members)}{examples})"
