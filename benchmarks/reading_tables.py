"""Read tables of CSV and Parquet by the reader ``table``, compared with pandas alone.

Files are in the page cache for both. pandas neither checks lines nor keeps words apart from empty cells.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import Plan, Record, against_floor, in_fresh_process

TITLE = "Reading tables"
AIM = 3
HANCOCK = ("blood", "clinical", "icd_codes", "pathological", "tma_cell_density")


def measure(plan: Plan) -> list[Record]:
    """Time relative to pandas."""
    folder = plan.folder / f"tables-{plan.scale}"
    tables = write_files(folder, plan.scale)
    if plan.hancock is not None:
        features = plan.hancock.parent / "features"
        tables["HANCOCK's CSV files"] = ([str(features / f"{name}.csv") for name in HANCOCK], [])
    return [
        against_floor(
            what,
            [
                (in_fresh_process(ours, paths, one_hot), in_fresh_process(pandas_alone, paths))
                for _ in range(plan.rounds)
            ],
            AIM,
        )
        for what, (paths, one_hot) in tables.items()
    ]


def write_files(folder: Path, scale: int) -> dict[str, tuple[list[str], list[str]]]:
    """Write the tables; for each its paths and its columns of categories."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows, columns, long = 1_000 // scale, 2_945, 200_000 // scale
    wide = pd.DataFrame(rng.normal(size=(rows, columns)), columns=[f"g{n}_rnaseq" for n in range(columns)])
    wide.insert(0, "case_id", [f"P{n}" for n in range(rows)])
    many = pd.DataFrame(rng.normal(size=(long, 8)).round(3), columns=[f"x{n}" for n in range(8)])
    many.insert(0, "case_id", [f"P{n // 4}" for n in range(long)])
    many["sex"] = rng.choice(["f", "m"], long)
    many["site"] = rng.choice(["north, old", "south"], long)
    files = {name: str(folder / name) for name in ("wide.csv", "wide.parquet", "long.csv")}
    if not all(Path(path).exists() for path in files.values()):
        wide.to_csv(files["wide.csv"], index=False)
        wide.to_parquet(files["wide.parquet"], index=False)
        many.to_csv(files["long.csv"], index=False)
    return {
        f"CSV, {rows:,} rows x 2,946 columns": ([files["wide.csv"]], []),
        f"Parquet, {rows:,} rows x 2,946 columns": ([files["wide.parquet"]], []),
        f"CSV, {long:,} rows x 11, two of categories": ([files["long.csv"]], ["sex", "site"]),
    }


def ours(paths: list[str], one_hot: list[str]) -> float:
    """Seconds until the reader's last chunk, after one reading that is not counted."""
    from hcat_builtin.readers.tables.reader import TableReader

    def read() -> None:
        for path in paths:
            for _ in TableReader(path=Path(path), one_hot=one_hot).read():
                pass

    return _second(read)


def pandas_alone(paths: list[str]) -> float:
    """Seconds until pandas has the frame, after one reading that is not counted."""

    def read() -> None:
        for path in paths:
            pd.read_parquet(path) if path.endswith(".parquet") else pd.read_csv(path, low_memory=False)

    return _second(read)


def _second(read) -> float:
    read()
    began = time.perf_counter()
    read()
    return time.perf_counter() - began
