"""The numbers of nested records, by dotted name."""

from __future__ import annotations

import math
from collections.abc import Mapping


def numbers_in(record: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """Every finite number of a record and of the records in it, by names joined with ``/``; no lists."""
    found: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= numbers_in(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[f"{prefix}{name}"] = float(value)
    return found
