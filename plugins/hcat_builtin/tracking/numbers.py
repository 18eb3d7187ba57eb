"""The numbers of nested records, by dotted name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def numbers_in(record: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """Every finite number of a record and of the records in it, by names joined with ``/``; no lists."""
    found: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= numbers_in(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[f"{prefix}{name}"] = float(value)
    return found


def scores_of(summary: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    """By side and outcome, the scores of a finished run.

    Those of single classes are left out: a class may have any text as its name, a tracker's metric not.
    """
    others = {
        side: {outcome: {**scores, "by_class": None} for outcome, scores in by_outcome.items()}
        for side, by_outcome in summary.get("other_outcomes", {}).items()
    }
    return {side: {**events, **others.get(side, {})} for side, events in summary["metrics"].items()}
