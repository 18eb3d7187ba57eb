"""Scores of outcomes of every kind as DataFrames and small tables, from a JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from hcat_core.api.html import table_as_html


def score_frame(events: Mapping[str, Any], others: Mapping[str, Any]) -> pd.DataFrame:
    """One row for each outcome: events first, then classes and numbers; NaN for scores of other kinds."""
    return pd.DataFrame.from_dict({**events, **others}, orient="index").rename_axis("task")


def headline(outcome: str, scores: Mapping[str, Any]) -> tuple[str, float | None]:
    """The macro AUC of classes, or R2 of a number, with its name."""
    if scores["kind"] == "multiclass":
        return f"{outcome} macro AUC", scores["auc"]
    return f"{outcome} R2", scores["r2"]


def others_as_html(others: Mapping[str, Any]) -> str:
    """A table of the outcomes of classes, and one of the numbers; nothing without any."""
    classes = {name: one for name, one in others.items() if one["kind"] == "multiclass"}
    values = {name: one for name, one in others.items() if one["kind"] != "multiclass"}
    tables = (
        (classes, ("patients", "auc", "log_loss", "accuracy")),
        (values, ("patients", "r2", "mae", "coverage_90")),
    )
    return "".join(
        table_as_html(["outcome", *names], [[name, *(m[n] for n in names)] for name, m in found.items()])
        for found, names in tables
        if found
    )
