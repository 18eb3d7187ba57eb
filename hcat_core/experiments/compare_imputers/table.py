"""Records -> one row an imputer and mechanism: means over seeds, their intervals, shares of the limits."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from hcat_core.experiments.compare_imputers.settings import LIMIT, ORACLE

Record = dict[str, Any]
BASELINE = "none"  # the mask-token arm


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and its 95 % interval (Student's t); the interval is NaN for one seed."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Estimate | None:
        """None where no seed has a value."""
        known = np.array([v for v in values if v is not None and math.isfinite(v)])
        if not len(known):
            return None
        mean = float(known.mean())
        if len(known) < 2:
            return cls(mean, math.nan, math.nan)
        half = float(stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known)))
        return cls(mean, mean - half, mean + half)

    def as_json(self) -> dict[str, float | None]:
        """Plain values; a missing interval is null."""
        return {
            "mean": self.mean,
            "low": None if math.isnan(self.low) else self.low,
            "high": None if math.isnan(self.high) else self.high,
        }


@dataclass(frozen=True)
class Row:
    """One imputer under one mechanism and missing rate."""

    name: str
    mechanism: str
    missing_rate: float
    seeds: int
    values: dict[str, Estimate | None]
    errors: tuple[str, ...]


COLUMNS = (
    "r2",
    "share_of_oracle",
    "share_of_limit",
    "crps",
    "coverage_50",
    "coverage_90",
    "energy_distance",
    "fit_seconds",
    "transform_seconds",
    "auc",
    "auc_over_none",
)


def summarise(records: Sequence[Record]) -> list[Row]:
    """Rows in the order of mechanism, then of R2, the best first."""
    groups: dict[tuple[str, float, str], list[Record]] = {}
    for record in records:
        setting = record["setting"]
        key = (setting["mechanism"], setting["missing_rate"], record["name"])
        groups.setdefault(key, []).append(record)
    rows = []
    for (mechanism, rate, name), found in groups.items():
        good = [r for r in found if r["error"] is None]
        by_seed = {r["setting"]["seed"]: r for r in good}

        def other(which: str, m: str = mechanism, p: float = rate) -> dict[int, Record]:
            return {r["setting"]["seed"]: r for r in groups.get((m, p, which), []) if r["error"] is None}

        oracle, limit, baseline = other(ORACLE), other(LIMIT), other(BASELINE)
        values: dict[str, list[float | None]] = {column: [] for column in COLUMNS}
        for seed, record in by_seed.items():
            for column in COLUMNS:
                values[column].append(_value(column, record, seed, oracle, limit, baseline))
        rows.append(
            Row(
                name,
                mechanism,
                rate,
                len(good),
                {column: Estimate.of(v) for column, v in values.items()},
                tuple(sorted({r["error"] for r in found if r["error"] is not None})),
            )
        )
    order = {"mcar": 0, "mar": 1, "mnar": 2}
    return sorted(rows, key=lambda r: (order[r.mechanism], r.missing_rate, -_mean(r.values["r2"], -9.0)))


def paired(records: Sequence[Record], metric: str, name: str, other: str) -> Estimate | None:
    """``name`` minus ``other`` on the same settings, with the interval over settings."""
    by_setting: dict[str, dict[str, Record]] = {}
    for record in records:
        if record["error"] is None:
            by_setting.setdefault(str(record["setting"]), {})[record["name"]] = record
    differences: list[float | None] = [
        found[name][metric] - found[other][metric]
        for found in by_setting.values()
        if name in found and other in found and found[name].get(metric) is not None
    ]
    return Estimate.of(differences)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The table as plain values."""
    return [
        {
            "imputer": row.name,
            "mechanism": row.mechanism,
            "missing_rate": row.missing_rate,
            "seeds": row.seeds,
            "errors": list(row.errors),
            **{c: None if e is None else e.as_json() for c, e in row.values.items()},
        }
        for row in rows
    ]


def as_csv(rows: Sequence[Row]) -> str:
    """A column for each mean, and two for its interval."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = [f"{column}{end}" for column in COLUMNS for end in ("", "_low", "_high")]
    writer.writerow(["imputer", "mechanism", "missing_rate", "seeds", *names, "errors"])
    for row in rows:
        numbers: list[str] = []
        for column in COLUMNS:
            e = row.values[column]
            parts = (math.nan,) * 3 if e is None else (e.mean, e.low, e.high)
            numbers += ["" if math.isnan(v) else f"{v:.6g}" for v in parts]
        errors = "; ".join(row.errors)
        writer.writerow([row.name, row.mechanism, row.missing_rate, row.seeds, *numbers, errors])
    return buffer.getvalue()


def _value(
    column: str,
    record: Record,
    seed: int,
    oracle: dict[int, Record],
    limit: dict[int, Record],
    baseline: dict[int, Record],
) -> float | None:
    if column in ("share_of_oracle", "share_of_limit"):
        reference = (oracle if column == "share_of_oracle" else limit).get(seed)
        if reference is None or record["r2"] is None or not reference["r2"]:
            return None
        return float(record["r2"] / reference["r2"])
    if column == "auc":
        return _mean_auc(record)
    if column == "auc_over_none":
        own, none = _mean_auc(record), _mean_auc(baseline.get(seed))
        return None if own is None or none is None else own - none
    value = record.get(column)
    return None if value is None else float(value)


def _mean_auc(record: Record | None) -> float | None:
    found = list((record or {}).get("auc", {}).values())
    return sum(found) / len(found) if found else None


def _mean(estimate: Estimate | None, otherwise: float) -> float:
    return otherwise if estimate is None else estimate.mean
