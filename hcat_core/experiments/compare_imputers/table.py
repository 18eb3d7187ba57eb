"""One row for each imputer and mechanism: means over seeds, intervals, shares of the limits."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from hcat_core.experiments.compare_imputers.results import ImputerResult
from hcat_core.experiments.compare_imputers.settings import LIMIT, ORACLE

BASELINE = "none"  # fills nothing: what is imputation worth to a prediction?


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and its 95 % interval (Student's t); the interval is NaN for one seed."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Estimate | None:
        """The estimate over the seeds that have a value; None where no seed has one."""
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


def summarise(results: Sequence[ImputerResult]) -> list[Row]:
    """Rows in the order of mechanism and missing rate, then of R2, the best first."""
    groups: dict[tuple[str, float], dict[str, list[ImputerResult]]] = {}
    for result in results:
        setting = result.setting
        names = groups.setdefault((setting.mechanism, setting.missing_rate), {})
        names.setdefault(result.name, []).append(result)
    rows = []
    for (mechanism, rate), by_name in groups.items():
        references = {name: _by_seed(by_name.get(name, [])) for name in (ORACLE, LIMIT, BASELINE)}
        for name, group in by_name.items():
            good = _by_seed(group)
            figures = [_figures(result, seed, references) for seed, result in good.items()]
            values = {column: Estimate.of([one[column] for one in figures]) for column in COLUMNS}
            errors = tuple(sorted({r.error for r in group if r.error is not None}))
            rows.append(Row(name, mechanism, rate, len(good), values, errors))
    order = {"mcar": 0, "mar": 1, "mnar": 2}
    return sorted(rows, key=lambda r: (order[r.mechanism], r.missing_rate, -_mean(r.values["r2"], -9.0)))


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
    """One line for each row; a column for each mean, and two for its interval."""
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


def _by_seed(results: Sequence[ImputerResult]) -> dict[int, ImputerResult]:
    """The results that did not fail."""
    return {r.setting.seed: r for r in results if r.error is None}


def _figures(
    result: ImputerResult, seed: int, references: Mapping[str, Mapping[int, ImputerResult]]
) -> dict[str, float | None]:
    """A value for each of ``COLUMNS``; shares and differences are those to the same seed's references."""
    scores = result.scores
    assert scores is not None
    auc, baseline = result.mean_auc, references[BASELINE].get(seed)
    auc_of_none = None if baseline is None else baseline.mean_auc
    return {
        "r2": scores.r2,
        "share_of_oracle": _share(scores.r2, references[ORACLE].get(seed)),
        "share_of_limit": _share(scores.r2, references[LIMIT].get(seed)),
        "crps": scores.crps,
        "coverage_50": scores.coverage_50,
        "coverage_90": scores.coverage_90,
        "energy_distance": scores.energy_distance,
        "fit_seconds": result.fit_seconds,
        "transform_seconds": result.transform_seconds,
        "auc": auc,
        "auc_over_none": None if auc is None or auc_of_none is None else auc - auc_of_none,
    }


def _share(r2: float | None, reference: ImputerResult | None) -> float | None:
    if r2 is None or reference is None or reference.scores is None or not reference.scores.r2:
        return None
    return r2 / reference.scores.r2


def _mean(estimate: Estimate | None, otherwise: float) -> float:
    return otherwise if estimate is None else estimate.mean
