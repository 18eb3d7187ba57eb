"""Widths of the embeddings in the files or groups of one modality, and which of them are the odd ones."""

from __future__ import annotations

from collections.abc import Iterator

from hcat_builtin.readers.slide_matching import named
from hcat_core.errors import DataError


class MemberWidths:
    """Collects the width of each member (a slide's or a patient's file, group or tensor)."""

    def __init__(self) -> None:
        self._members: dict[int, list[str]] = {}

    @property
    def first(self) -> int:
        """The width of the first member; 0 before it."""
        return next(iter(self._members), 0)

    def add(self, member: str, width: int) -> bool:
        """Take down one member's width; returns whether all widths are alike so far."""
        self._members.setdefault(width, []).append(member)
        return len(self._members) == 1

    def refuse_mixed(self, source: str) -> None:
        """Refuse more than one width, after the last member.

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

    def _counts(self) -> Iterator[str]:
        frequent = max(self._members, key=lambda width: len(self._members[width]))
        for width, members in sorted(self._members.items(), key=lambda item: -len(item[1])):
            examples = "" if width == frequent else f": {named(members)}"
            yield f"{width} features ({len(members)}{examples})"
