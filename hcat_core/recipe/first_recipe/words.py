"""Words that stand for "not known" in tables of patients."""

from __future__ import annotations

from collections.abc import Iterable

UNKNOWN_WORDS = frozenset(
    [
        *("na", "n/a", "#n/a", "<na>", "nan", "null", "?", ".", "-", "--", "'--", "missing", "unknown"),
        *("not available", "not reported", "not applicable", "not evaluated", "not known", "[unknown]"),
        *("[not available]", "[not applicable]", "[not evaluated]", "[not reported]", "[discrepancy]"),
    ]
)


def unknown_words(values: Iterable[str]) -> list[str]:
    """Those of some values that stand for "not known"."""
    return [value for value in values if value.strip().lower() in UNKNOWN_WORDS]
